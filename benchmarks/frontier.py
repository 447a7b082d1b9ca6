"""How small can a proved adder be?  `python -m benchmarks.frontier --seeds 3`: the frontier for other seeds.

Students learn the task's own machine, which is the one that every right net yields; each point is proved for streams of
every length. Prints a row a point, then the fewest parameters by seed. Seconds are wall-clock, of the proof alone.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.defaults import stream_task
from compress.streaming import frontier, save_point
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.params import load_params
from verify.claims import Proved
from verify.stream_run import verify_stream


def main() -> int:
    parser = Parser(prog="python -m benchmarks.frontier", description=__doc__)
    parser.add_argument("--first", type=int, default=1, help="first seed; seed 0 is the default pipeline's")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    params = load_params()
    task = stream_task(params.experiment("addition-standard")).task()
    machine = task.machine()
    if machine is None:
        raise UserError(f"task = {task.key}: it has no machine to learn")
    fewest: dict[int, int | None] = {}
    for seed in range(options.first, options.first + options.seeds):
        proved: list[int] = []
        compress = params.compress.streams.model_copy(update={"seed": seed})
        for point in frontier(machine, compress, lambda text: print(text, file=sys.stderr)):
            with tempfile.TemporaryDirectory() as scratch:
                path = save_point(point, task, Path(scratch))
                begin = time.monotonic()
                summary = verify_stream(path, None, params.verify.timeout, task)
                seconds = round(time.monotonic() - begin, 2)
            row = {"seed": seed, "units": point.n_hidden, "bits": point.bits, "parameters": point.net.n_parameters}
            verdict = type(summary.verdict).__name__
            print(json.dumps({**row, "verdict": verdict, "seconds": seconds}), flush=True)
            if isinstance(summary.verdict, Proved):
                proved.append(point.net.n_parameters)
        fewest[seed] = min(proved, default=None)
    print(f"fewest parameters by seed: {fewest}")
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.frontier", main))
