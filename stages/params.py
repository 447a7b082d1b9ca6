"""Check all of params.yaml, and resolve its experiments: python -m stages.params -> resolved/NAME.json.

Runs before any other stage, and before DVC removes any stage's old outputs. An experiment with its recipe and all
defaults is one file, so that an edit reruns only the stages of the experiments that it changes.

`make repro` also runs it before DVC: it takes away what a kill has left of DVC's own files and DVC would not read.
"""

from pathlib import Path

from pipeline.errors import UserError
from pipeline.experiment import Experiment, ModularParams
from pipeline.files import fresh_directory
from pipeline.params import load_params
from stages.command import RESOLVED, no_argument, run_stage
from stages.torn import remove_torn_files


def body() -> None:
    no_argument("params")
    params = load_params()
    experiments = [params.experiment(name) for name in params.experiments]
    for experiment in experiments:
        refuse_what_ends_nowhere(experiment)
    remove_torn_files(Path())
    with fresh_directory(RESOLVED) as directory:
        for experiment in experiments:
            (directory / f"{experiment.name}.json").write_text(experiment.to_json())


def refuse_what_ends_nowhere(experiment: Experiment) -> None:
    """UserError for a task that proofs do not know."""
    task = experiment.task
    if isinstance(task, ModularParams) and task.operation == "quadratic_form":
        raise UserError(
            f"params.yaml: experiments.{experiment.name} is of {task.operation}: the pipeline ends in proofs, which "
            f"know every other task; train it alone, by `python -m train {experiment.name}`"
        )


if __name__ == "__main__":
    run_stage("params", body)
