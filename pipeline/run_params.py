"""params.json of a run directory: what experiment it is of. Plain Python, for rooms that do without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pipeline.errors import UserError
from pipeline.tasks.registry import AnyTask, task_from


def run_params(directory: Path) -> dict[str, Any]:
    """params.json of a run; raises UserError where there is none."""
    path = directory / "params.json"
    try:
        params = json.loads(path.read_text())
    except FileNotFoundError:
        raise UserError(f"{directory}: not a run (no params.json); make one with `python -m train`") from None
    except json.JSONDecodeError as error:
        raise UserError(f"{path}: damaged ({error}); train the run again") from None
    if not isinstance(params, dict):
        raise UserError(f"{path}: damaged (no mapping); train the run again")
    return params


def run_task(directory: Path) -> AnyTask:
    """The task of a run; raises UserError where `directory` is not a run."""
    params = run_params(directory)
    try:
        return task_from(params["task"])
    except (AttributeError, KeyError, TypeError) as error:
        raise UserError(f"{directory / 'params.json'}: damaged ({error}); train the run again") from None
