"""An experiment: what is learnt, by which net, by which recipe, with how many steps; and its identity.

`params.yaml` names the parts (pipeline/params.py); here they stand resolved, defaults included. What an experiment
computes depends on nothing else, so that the SHA-256 of these values, its `digest`, says what a file was made from.
"""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from pipeline.errors import UserError
from pipeline.fields import (
    MOST_COUNT,
    MOST_NUMBERS,
    MOST_STORED,
    MOST_WEIGHTS,
    Params,
    PositiveInt,
    Share,
    Width,
    at_most,
)
from pipeline.recipe_params import RecipeParams
from pipeline.tasks import OPERATIONS, ModularTask, Operation, PermutationTask, Split, Task, is_prime, pair_split
from pipeline.tasks.streaming import (
    LONGEST_EXAMPLE,
    MOST_EXAMPLES,
    StreamTask,
    evaluation_sets,
    known_streams,
    stream_examples,
    stream_task,
)

MOST_UNITS = 4096
UNITS = f"give a number from 1 to {MOST_UNITS}"


def at_least_one_pair(fraction: float, task: Task) -> None:
    """ValueError, for a validator, where a share of all pairs is none."""
    pairs = len(task.pairs())
    if int(fraction * pairs) < 1:
        raise ValueError(f"train_fraction = {fraction} of {pairs} pairs is not one pair; raise it")


class ModularParams(Params):
    """Arithmetic mod p (pipeline/tasks/modular.py), and the share of all pairs that is shown."""

    name: Literal["modular"]
    operation: Operation = Field(default="addition", description=f"choose one of {', '.join(OPERATIONS)}")
    p: int = Field(default=113, description="give an odd prime from 5 to 509, such as 59, 97 or 113")
    train_fraction: Share = 0.3

    @field_validator("p")
    @classmethod
    def _prime(cls, p: int) -> int:
        if not 5 <= p <= 509 or not is_prime(p):
            raise ValueError("not an odd prime from 5 to 509")
        return p

    @model_validator(mode="after")
    def _something_to_learn(self) -> ModularParams:
        at_least_one_pair(self.train_fraction, self.task())
        return self

    def task(self) -> ModularTask:
        return ModularTask(self.p, self.operation)

    def n_shown(self) -> int:
        """How many pairs training is shown."""
        return int(self.train_fraction * len(self.task().pairs()))

    def split(self, seed: int) -> Split:
        return pair_split(self.task(), self.train_fraction, seed)


class PermutationParams(Params):
    """Composition in S_n (pipeline/tasks/permutation.py), and the share of all pairs that is shown."""

    name: Literal["permutation"]
    n: int = Field(default=5, ge=3, le=5, description="give a number from 3 to 5")
    train_fraction: Share = 0.3

    @model_validator(mode="after")
    def _something_to_learn(self) -> PermutationParams:
        at_least_one_pair(self.train_fraction, self.task())
        return self

    def task(self) -> PermutationTask:
        return PermutationTask(self.n)

    def n_shown(self) -> int:
        """How many pairs training is shown."""
        return int(self.train_fraction * len(self.task().pairs()))

    def split(self, seed: int) -> Split:
        return pair_split(self.task(), self.train_fraction, seed)


class StreamParams(Params):
    """A task for streams of any length, by the name of its file in pipeline/tasks/streams, with its options.

    Training is shown `examples` random streams of `digits` pairs; evaluation tries `evaluated` streams of each of
    `lengths`, random and hard, which are drawn apart from those (short streams of few symbols recur).
    """

    name: str
    options: dict[str, str | int] = Field(default={})
    examples: int = Field(default=400, ge=1, le=MOST_EXAMPLES, description=f"give a number from 1 to {MOST_EXAMPLES}")
    digits: int = Field(default=4, ge=1, le=LONGEST_EXAMPLE, description=f"give a number from 1 to {LONGEST_EXAMPLE}")
    lengths: tuple[PositiveInt, ...] = Field(default=(4, 10, 40, 200), min_length=1, description="give some lengths")
    evaluated: PositiveInt = 200

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        if name not in known_streams():
            raise ValueError(f"no such task; known: {', '.join(['modular', 'permutation', *known_streams()])}")
        return name

    @field_validator("lengths")
    @classmethod
    def _once_each(cls, lengths: tuple[int, ...]) -> tuple[int, ...]:
        if list(lengths) != sorted(set(lengths)):
            raise ValueError("give each length once, shortest first")
        return lengths

    @model_validator(mode="after")
    def _options_fit(self) -> StreamParams:
        try:
            self.task()
        except UserError as error:
            raise ValueError(str(error)) from None
        return self

    def task(self) -> StreamTask:
        return stream_task(self.name, **self.options)

    def split(self, seed: int) -> Split:
        task = self.task()
        shown = task.training_set(self.examples, self.digits, seed).tolist()
        return Split(stream_examples(task, shown), evaluation_sets(task, self.lengths, self.evaluated, seed))


def _family(values: Any) -> str:
    name = values.get("name") if isinstance(values, dict) else getattr(values, "name", None)
    return name if name in ("modular", "permutation") else "stream"


TaskParams = Annotated[
    Annotated[ModularParams, Tag("modular")]
    | Annotated[PermutationParams, Tag("permutation")]
    | Annotated[StreamParams, Tag("stream")],
    Discriminator(_family),
]


class TransformerParams(Params):
    """The one-layer transformer of Nanda et al. 2023; heads are d_model / n_heads wide."""

    kind: Literal["transformer"]
    d_model: Width = 128
    n_heads: int = Field(default=4, ge=1, description="give a number of heads that divides d_model")
    d_mlp: Width = 512

    @model_validator(mode="after")
    def _heads_divide(self) -> TransformerParams:
        if self.d_model % self.n_heads:
            raise ValueError(f"n_heads = {self.n_heads} does not divide d_model = {self.d_model}")
        return self

    def widths(self) -> dict[str, int]:
        """The arguments of TransformerConfig beside p."""
        return {**self.model_dump(exclude={"kind"}), "d_head": self.d_model // self.n_heads}


class RecurrentParams(Params):
    """Units of the state and of the ReLU layer; a tied net has one table for both symbols."""

    kind: Literal["recurrent"]
    n_state: int = Field(default=2, ge=1, le=MOST_UNITS, description=UNITS)
    n_hidden: int = Field(default=32, ge=1, le=MOST_UNITS, description=UNITS)
    tied: bool = False


NetParams = Annotated[TransformerParams | RecurrentParams, Field(discriminator="kind")]


class SnapshotParams(Params):
    """Which cycles end with a snapshot: each of the first `dense`, then every `every`th, and the last."""

    dense: int = Field(
        default=MOST_COUNT, ge=0, le=MOST_COUNT, description=f"give a number of cycles from 0 to {MOST_COUNT}"
    )
    every: PositiveInt = 1


class TrainParams(Params):
    """Budget and bookkeeping, the same for every recipe that is compared."""

    seed: int = Field(default=0, ge=0, lt=2**31, description="give a whole number, 0 or more")
    steps: PositiveInt = 500
    cycle_steps: PositiveInt = 10
    snapshots: SnapshotParams = SnapshotParams()
    evaluate_every: PositiveInt = 5
    batch_size: PositiveInt | None = None
    matmul_precision: Literal["highest", "high", "medium"] = Field(
        default="highest", description="choose highest, high or medium, as torch.set_float32_matmul_precision"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="choose auto, cpu or cuda")

    @model_validator(mode="after")
    def _whole_cycles(self) -> TrainParams:
        if self.steps % self.cycle_steps:
            raise ValueError(
                f"steps = {self.steps} is not a whole number of cycles of cycle_steps = {self.cycle_steps}"
            )
        return self


class StartParams(Params):
    """Where a run goes on from: a snapshot, by its file's hash, the shape of its net and where that net had come to."""

    sha256: str
    net: dict[str, Any]
    recipe: str
    cycle: int
    step: int


class Phase(Params):
    """A recipe and the cycle at whose end it hands over to the next, counted from the start of the run."""

    recipe: str
    last_cycle: PositiveInt
    parts: RecipeParams


class Experiment(Params):
    """All that determines one training run, and nothing else; `name` is the directory it goes to.

    A run either begins with a new net of the shape `net`, or goes on from the snapshot `start`, which has one.
    """

    name: str
    task: TaskParams
    net: NetParams | None
    recipe: str
    phases: tuple[Phase, ...] = Field(min_length=1)
    train: TrainParams
    start: StartParams | None = None

    @property
    def digest(self) -> str:
        """SHA-256 of the resolved values, defaults included, without the name."""
        values = self.model_dump(mode="json", exclude={"name"})
        if isinstance(self.task, StreamParams):
            values["task"]["options"] = self.task.task().to_dict()  # with those that are left to their defaults
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        """The values and their digest, as params.json of a run has them."""
        values = {"digest": self.digest, **self.model_dump(mode="json")}
        return json.dumps(values, sort_keys=True, indent=1) + "\n"

    @property
    def parts(self) -> RecipeParams:
        """The recipe that the run begins with; of most it is the only one."""
        return self.phases[0].parts

    @model_validator(mode="after")
    def _phases_fill_the_budget(self) -> Experiment:
        last = self.phases[-1].last_cycle * self.train.cycle_steps
        if last != self.train.steps:
            raise ValueError(f"phases end after {last} steps, and train.steps = {self.train.steps}")
        return self

    @model_validator(mode="after")
    def _recipe_and_task_fit(self) -> Experiment:
        stream = isinstance(self.task, StreamParams)
        for phase in self.phases if not stream else ():
            for name in ("teach", "state_noise"):
                if getattr(phase.parts, name) is not None:
                    raise ValueError(f"recipe {phase.recipe}: {name} is for streams, and {self.task.name} has none")
        shown = self.task.examples if isinstance(self.task, StreamParams) else self.task.n_shown()
        if self.train.batch_size is not None and self.train.batch_size > shown:
            said = f"train.batch_size = {self.train.batch_size}: there are {shown} training examples"
            raise ValueError(f"{said}; lower it or use null")
        return self

    @model_validator(mode="after")
    def _net_and_task_fit(self) -> Experiment:
        if self.net is None:
            return self
        kind, stream = self.net.kind, isinstance(self.task, StreamParams)
        if (kind == "recurrent") != stream:
            reads = "streams of pairs" if kind == "recurrent" else "single pairs"
            raise ValueError(f"net.kind = {kind}: reads {reads}, and the task {self.task.name} has others")
        if self.net.kind == "recurrent" and self.net.tied:
            task = self.task.task()
            if task.n_left != task.n_right:
                sides = f"{task.n_left} and {task.n_right} symbols"
                raise ValueError(f"net.tied = true: {self.task.name} has {sides} on its sides; it needs two")
        return self

    @model_validator(mode="after")
    def _fits_into_memory(self) -> Experiment:
        if self.net is None:
            return self
        task, train = self.task.task(), self.train
        if isinstance(self.task, StreamParams):
            assert self.net.kind == "recurrent"
            assert isinstance(task, StreamTask)
            weights = self.net.n_hidden * (task.n_left + task.n_right + 2 * self.net.n_state + task.n_answers)
            rows = self.task.evaluated * sum(length + len(task.flush) for length in self.task.lengths)
            numbers, held = (
                rows * self.net.n_hidden,
                "task.evaluated, task.lengths and net.n_hidden make too many numbers",
            )
        else:
            assert self.net.kind == "transformer"
            net, n = self.net, task.n_answers
            weights = 2 * n * net.d_model + 4 * net.d_model**2 + 2 * net.d_model * net.d_mlp
            widest = max(3 * net.d_model, 9 * net.n_heads, net.d_mlp)  # three tokens, their attention, the MLP
            numbers, held = n**2 * widest, "the task and net make too many activations on all inputs"
        cycles, rule = train.steps // train.cycle_steps, train.snapshots
        at_most(MOST_WEIGHTS, weights, "the widths of net make too many weights")
        at_most(MOST_NUMBERS, numbers, held)
        stored = (min(cycles, rule.dense) + 1 + cycles // rule.every) * weights
        at_most(MOST_STORED, stored, "train.steps / train.cycle_steps snapshots hold too many weights")
        return self
