"""The section `streaming` of params.yaml: tasks for streams of any length, and the recurrent nets that learn them."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic import Field, field_validator, model_validator

from pipeline.errors import UserError
from pipeline.fields import (
    MOST_NUMBERS,
    MOST_STORED,
    MOST_WEIGHTS,
    Count,
    Fraction,
    Params,
    PositiveInt,
    at_most,
)
from pipeline.recipe_params import RecipeParams
from pipeline.tasks.streaming import LONGEST_EXAMPLE, MOST_EXAMPLES, StreamTask, stream_task_from

MOST_UNITS = 4096
UNITS = f"give a number from 1 to {MOST_UNITS}"


class StreamNetParams(Params):
    """Units of the state and of the ReLU layer; a tied net has one table for both symbols."""

    n_state: int = Field(default=2, ge=1, le=MOST_UNITS, description=UNITS)
    n_hidden: int = Field(default=32, ge=1, le=MOST_UNITS, description=UNITS)
    tied: bool = False


class StreamTrainParams(Params):
    """Budget and data, the same for every recipe.

    What evaluation tries is drawn apart from what training is shown; short streams of few symbols recur.
    """

    seed: int = Field(default=0, ge=0, lt=2**31, description="give a whole number, 0 or more")
    steps: PositiveInt = 400
    cycle_steps: PositiveInt = 50
    examples: int = Field(default=400, ge=1, le=MOST_EXAMPLES, description=f"give a number from 1 to {MOST_EXAMPLES}")
    digits: int = Field(default=4, ge=1, le=LONGEST_EXAMPLE, description=f"give a number from 1 to {LONGEST_EXAMPLE}")
    counterexamples: int = Field(default=8, ge=0, le=64, description="give how many a cycle may feed back, 0 to 64")
    lengths: tuple[PositiveInt, ...] = Field(default=(4, 10, 40, 200), min_length=1, description="give some lengths")
    evaluated: PositiveInt = 200

    @field_validator("cycle_steps")
    @classmethod
    def _whole_cycles(cls, cycle_steps: int, info: Any) -> int:
        if info.data.get("steps", 0) % cycle_steps:
            raise ValueError(f"steps = {info.data['steps']} is not a whole number of cycles of {cycle_steps} steps")
        return cycle_steps


class StreamRecipeParams(RecipeParams):
    """A recipe as any other. `teach`: counterexamples found at the end of a cycle become examples.

    A net that gives less than `learnt` of the digits it is shown right is taught nothing, and after three such cycles
    its weights are drawn anew; with 0 never.
    """

    teach: bool = False
    learnt: Fraction = 0.0


class StreamCompressParams(Params):
    """What the search for the smallest student may spend; compress/streaming.py explains each step."""

    students: Count = 16
    first_hidden: int = Field(default=16, ge=1, le=256, description="give a number of units from 1 to 256")
    last_hidden: PositiveInt = 5
    first_steps: PositiveInt = 600
    cycle_steps: PositiveInt = 400
    rounded_from: PositiveInt = 8
    round_steps: PositiveInt = 400
    most_bits: int = Field(default=8, ge=2, le=16, description="give a number of bits from 2 to 16")
    seed: int = Field(default=0, ge=0, lt=2**31, description="give a whole number, 0 or more")


class StreamRunConfig(Params):
    """All that determines one training run; its hash names the resumable state."""

    task: dict[str, str | int]
    net: StreamNetParams
    train: StreamTrainParams
    recipe_name: str
    recipe: StreamRecipeParams

    def stream_task(self) -> StreamTask:
        return stream_task_from(self.task)

    @property
    def key(self) -> str:
        """What the run is, as a directory name: addition-catapult-s0."""
        return f"{self.stream_task().name}-{self.recipe_name}-s{self.train.seed}"

    def digest(self, *also: str) -> str:
        """SHA-256 over the resolved values, defaults included, and over `also`."""
        text = json.dumps([self.model_dump(mode="json"), *also], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class StreamingParams(Params):
    """The section `streaming` of params.yaml."""

    task: dict[str, str | int]
    net: StreamNetParams = StreamNetParams()
    train: StreamTrainParams = StreamTrainParams()
    recipes: dict[str, StreamRecipeParams]
    compress: StreamCompressParams = StreamCompressParams()

    @field_validator("task")
    @classmethod
    def _known(cls, task: dict[str, str | int]) -> dict[str, str | int]:
        try:
            stream_task_from(task)
        except UserError as error:
            raise ValueError(str(error)) from None
        return task

    @model_validator(mode="after")
    def _tied_where_it_can_be(self) -> StreamingParams:
        task = stream_task_from(self.task)
        if self.net.tied and task.n_left != task.n_right:
            sides = f"{task.n_left} and {task.n_right} symbols"
            raise ValueError(f"net.tied = true: {task.name} has {sides} on its sides; one table cannot serve both")
        return self

    @model_validator(mode="after")
    def _fits_into_memory(self) -> StreamingParams:
        task, net, train = stream_task_from(self.task), self.net, self.train
        weights = net.n_hidden * (task.n_left + task.n_right + 2 * net.n_state + task.n_answers)
        snapshots = train.steps // train.cycle_steps + 1
        steps = train.evaluated * sum(length + len(task.flush) for length in train.lengths)
        at_most(MOST_WEIGHTS, weights, "net.n_state and net.n_hidden make too many weights")
        at_most(MOST_STORED, snapshots * weights, "train.steps / train.cycle_steps snapshots hold too many weights")
        at_most(MOST_NUMBERS, steps * net.n_hidden, "train.evaluated, train.lengths and net.n_hidden: too many numbers")
        return self

    def run_config(self, recipe: str) -> StreamRunConfig:
        if recipe not in self.recipes:
            known = ", ".join(sorted(self.recipes))
            raise UserError(f"recipe = {recipe!r}: not in streaming.recipes of params.yaml; known: {known}")
        return StreamRunConfig(
            task=self.task, net=self.net, train=self.train, recipe_name=recipe, recipe=self.recipes[recipe]
        )
