"""The smallest nets that learn a recurrent net's machine, each proved: frontier.csv, and each point with its proof."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from compress.streaming import frontier, save_point
from pipeline.files import fresh_directory, snapshot_paths
from pipeline.params import StreamCompressParams
from verify.claims import Proved
from verify.recurrent_net import load_recurrent
from verify.stream_prove import read_machine
from verify.stream_run import verify_stream

COLUMNS = "units,bits,grid,parameters,verdict,float32,snapshot"


def compress_stream_run(
    run: Path, out: Path, params: StreamCompressParams, timeout: float, say: Callable[[str], None]
) -> str:
    """Write the frontier of a run's last net into `out`; no points where the net yields no machine."""
    net = load_recurrent(snapshot_paths(run)[-1])
    machine = read_machine(net)
    rows = [COLUMNS]
    with fresh_directory(out) as directory:
        if machine is None:
            say("the net yields no machine: there is nothing to learn from it")
        else:
            for point in frontier(machine, params, say):
                path = save_point(point, net.task, directory)
                summary = verify_stream(path, directory / path.stem, timeout, net.task)
                proved = isinstance(summary.proof.results[-1].verdict, Proved)
                verdict = type(summary.verdict).__name__
                rows.append(
                    f"{point.n_hidden},{point.bits},2^-{point.fraction},{point.net.n_parameters},{verdict},{proved},"
                    f"{net.sha256}"
                )
        (directory / "frontier.csv").write_text("\n".join(rows) + "\n")
    return "\n".join(rows)
