"""The smallest nets that learn a recurrent net's machine, each proved: python -m stages.stream_compress RECIPE.

-> compressed/<key>/: frontier.csv, and for each point its snapshot and its proof.
"""

import sys
from pathlib import Path

from pipeline.errors import UserError
from pipeline.files import fresh_directory, snapshot_paths
from pipeline.params import load_params
from stages.command import one_argument, run_stage
from verify.claims import Proved
from verify.recurrent_net import load_recurrent
from verify.stream_prove import read_machine
from verify.stream_run import verify_stream


def body() -> None:
    params = load_params()
    if params.streaming is None:
        raise UserError("params.yaml: streaming is missing: add it")
    config = params.streaming.run_config(one_argument("stream_compress", "RECIPE"))

    def say(text: str) -> None:
        print(f"compress {config.key}: {text}", file=sys.stderr, flush=True)

    last = snapshot_paths(Path("runs") / config.key)[-1]
    machine = read_machine(load_recurrent(last))
    rows = ["units,bits,grid,parameters,verdict,float32"]
    with fresh_directory(Path("compressed") / config.key) as directory:
        if machine is None:
            say("the net yields no machine: there is nothing to learn from it")
        else:
            from compress.streaming import frontier, save_point

            for point in frontier(machine, params.streaming.compress, say):
                path = save_point(point, config.stream_task(), directory)
                summary = verify_stream(path, directory / path.stem, params.verify.timeout, config.stream_task())
                proved = isinstance(summary.proof.results[-1].verdict, Proved)
                verdict = type(summary.verdict).__name__
                rows.append(
                    f"{point.n_hidden},{point.bits},2^-{point.fraction},{point.net.n_parameters},{verdict},{proved}"
                )
        (directory / "frontier.csv").write_text("\n".join(rows) + "\n")
    print("\n".join(rows))


if __name__ == "__main__":
    run_stage("stream_compress", body)
