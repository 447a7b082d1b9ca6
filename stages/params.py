"""Check all of params.yaml before any other stage runs, and before DVC removes any stage's old outputs.

The output never changes, so an edit of params.yaml reruns only the stages whose own parameters it touches.
"""

from pathlib import Path

from pipeline.files import write_atomically
from pipeline.params import load_params
from stages.command import no_argument, run_stage


def body() -> None:
    no_argument("params")
    load_params()
    write_atomically(Path("params.valid"), "params.yaml is valid\n")


if __name__ == "__main__":
    run_stage("params", body)
