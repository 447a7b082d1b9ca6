"""From a task to its description and back, for the headers of snapshots and the parameters of runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.tasks.modular import ModularTask
from pipeline.tasks.permutation import PermutationTask
from pipeline.tasks.streaming import StreamTask, stream_task_from

PairTask = ModularTask | PermutationTask
"""A task with a finite domain of pairs (see `pipeline.tasks.task.Task`)."""

AnyTask = PairTask | StreamTask


def describe_task(task: AnyTask) -> dict[str, Any]:
    """The task as JSON values: its name and its options, such as {"name": "addition", "base": 10}."""
    match task:
        case ModularTask():
            return {"name": "modular", "operation": task.operation, "p": task.p}
        case PermutationTask():
            return {"name": "permutation", "n": task.n}
        case StreamTask():
            return task.to_dict()


def task_from(description: Mapping[str, Any]) -> AnyTask:
    """The inverse of `describe_task`; raises KeyError for an option that is missing, UserError for one out of range.

    What else an experiment says of its task, such as the share of pairs that is shown, is left aside.
    """
    match description["name"]:
        case "modular":
            return ModularTask(description["p"], description["operation"])
        case "permutation":
            return PermutationTask(description["n"])
        case _ if "options" in description:
            return stream_task_from({"name": description["name"], **description["options"]})
        case _:
            return stream_task_from(description)
