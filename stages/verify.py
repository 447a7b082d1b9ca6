"""Extract the program and prove every link: python -m stages.verify RECIPE -> proofs/<key>/.

A net that does not add is a result, not an error: its certificate says Refuted and the stage succeeds.
"""

import sys
from pathlib import Path

from pipeline.files import snapshot_paths
from pipeline.params import load_params
from stages.command import one_argument, run_stage
from verify.run import verify_run


def body() -> None:
    params = load_params()
    key = params.run_config(one_argument("verify", "RECIPE")).key
    summary = verify_run(
        trained_path=snapshot_paths(Path("runs") / key)[-1],
        student_path=Path("compressed") / key / "student.safetensors",
        out_dir=Path("proofs") / key,
        timeout=params.verify.timeout,
        progress=lambda text: print(f"verify {key}: {text}", file=sys.stderr, flush=True),
    )
    print("\n".join(summary.lines()))


if __name__ == "__main__":
    run_stage("verify", body)
