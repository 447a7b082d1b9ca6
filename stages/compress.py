"""Prune, distil and quantise the last snapshot of a run: python -m stages.compress RECIPE -> compressed/<key>/."""

import sys
from pathlib import Path

from pipeline.params import load_params
from stages.command import one_argument, run_stage


def body() -> None:
    params = load_params()
    key = params.run_key(one_argument("compress", "RECIPE"))
    from compress.ladder import compress_run

    compress_run(
        Path("runs") / key,
        Path("analysis") / key,
        Path("compressed") / key,
        params.compress,
        say=lambda text: print(f"compress {key}: {text}", file=sys.stderr, flush=True),
    )


if __name__ == "__main__":
    run_stage("compress", body)
