"""Check all of params.yaml before any other stage runs, and before DVC removes any stage's old outputs.

`make repro` also runs it before DVC: it takes away what a kill has left of DVC's own files and DVC would not read.
The output never changes, so an edit of params.yaml reruns only the stages whose own parameters it touches.
"""

from pathlib import Path

from pipeline.files import write_atomically
from pipeline.params import load_params
from stages.command import no_argument, run_stage
from stages.torn import remove_torn_files


def body() -> None:
    no_argument("params")
    params = load_params()
    for recipe in params.consolidation.after if params.consolidation is not None else ():
        params.phase(recipe)
    remove_torn_files(Path())
    write_atomically(Path("params.valid"), "params.yaml is valid\n")


if __name__ == "__main__":
    run_stage("params", body)
