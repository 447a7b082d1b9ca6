"""params.yaml as typed, frozen values. Every default is written out in the file, every key is checked.

Rooms take these objects as arguments; only the stage scripts read the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.cycles import snapshot_cycles
from pipeline.errors import UserError
from pipeline.fields import (
    MOST_COUNT,
    MOST_NUMBERS,
    MOST_STORED,
    MOST_WEIGHTS,
    Count,
    Fraction,
    NonNegative,
    Params,
    Positive,
    PositiveInt,
    Share,
    Width,
    at_most,
)
from pipeline.recipe_params import AdamWParams as AdamWParams
from pipeline.recipe_params import ConstraintParams as ConstraintParams
from pipeline.recipe_params import GrokfastParams as GrokfastParams
from pipeline.recipe_params import GroupPenaltyParams as GroupPenaltyParams
from pipeline.recipe_params import InitParams as InitParams
from pipeline.recipe_params import LionParams as LionParams
from pipeline.recipe_params import MuonParams as MuonParams
from pipeline.recipe_params import NormPenaltyParams as NormPenaltyParams
from pipeline.recipe_params import NuclearNormParams as NuclearNormParams
from pipeline.recipe_params import PerpendicularParams as PerpendicularParams
from pipeline.recipe_params import RecipeParams as RecipeParams
from pipeline.recipe_params import ScheduleParams as ScheduleParams
from pipeline.recipe_params import StrengthParams as StrengthParams
from pipeline.stream_params import StreamingParams as StreamingParams
from pipeline.tasks import OPERATIONS, SIGNED, ModularTask, Operation, is_prime
from pipeline.validation import load_checked


class TaskParams(Params):
    """The function to learn and the share of its inputs that is shown."""

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
    def _something_to_learn(self) -> TaskParams:
        if int(self.train_fraction * self.p**2) < 1:
            raise ValueError(f"train_fraction = {self.train_fraction} of {self.p**2} pairs is not one pair; raise it")
        return self

    def task(self) -> ModularTask:
        return ModularTask(self.p, self.operation)


class NetParams(Params):
    """Shape of the one-layer transformer (Nanda et al. 2023); heads are d_model / n_heads wide."""

    d_model: Width = 128
    n_heads: int = Field(default=4, ge=1, description="give a number of heads that divides net.d_model")
    d_mlp: Width = 512

    @model_validator(mode="after")
    def _heads_divide(self) -> NetParams:
        if self.d_model % self.n_heads:
            raise ValueError(f"n_heads = {self.n_heads} does not divide d_model = {self.d_model}")
        return self

    def widths(self) -> dict[str, int]:
        """The arguments of TransformerConfig beside p; heads are d_model / n_heads wide."""
        return {**self.model_dump(), "d_head": self.d_model // self.n_heads}


class SnapshotParams(Params):
    """Which cycles end with a snapshot: each of the first `dense`, then every `every`th, and the last."""

    dense: int = Field(default=20, ge=0, le=MOST_COUNT, description=f"give a number of cycles from 0 to {MOST_COUNT}")
    every: PositiveInt = 10


class TrainParams(Params):
    """Budget and bookkeeping, the same for every recipe."""

    seed: int = Field(default=0, ge=0, lt=2**31, description="give a whole number, 0 or more")
    steps: PositiveInt = 200
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


class ConsolidationParams(Params):
    """The phase that continues the runs of other recipes by the recipe `consolidation`.

    It begins after the share of train.steps that `after` has for the recipe, in whole cycles, and has the rest, so that
    a run with it and one without take the same steps.
    """

    after: dict[str, Share] = Field(min_length=1, description="give shares by recipe, such as {catapult: 0.12}")
    snapshots: SnapshotParams = SnapshotParams(dense=0, every=5)


class StartParams(Params):
    """Where a run goes on from: a snapshot, by its file's hash, the shape of its net and where that net had come to."""

    sha256: str
    net: dict[str, Any]
    recipe: str
    cycle: int
    step: int


class ThresholdParams(Params):
    """Where the phase labels are drawn; interp/README.md says what each measures and what the null controls give.

    Losses are in units of ln p, the loss of a uniform guess.
    """

    accuracy: Fraction = 0.99
    scrubbed_accuracy: Fraction = 0.98
    explained: Fraction = 0.5
    localisation_ratio: NonNegative = 2.0
    restricted_loss: NonNegative = 0.2
    excluded_loss: NonNegative = 0.4
    generalising: Fraction = 0.1
    fitting: Fraction = 0.25


class SamplerParams(Params):
    """The Langevin sampler of the local learning coefficient; interp/llc.py says what each is.

    Estimates are comparable at one `pull` only.
    """

    step: Positive = 3e-5
    pull: Positive = 1000.0
    chains: Count = 2
    burn_in: PositiveInt = 80
    draws: PositiveInt = 40
    batch: PositiveInt = 128
    seed: int = Field(default=0, ge=0, lt=2**31, description="give a whole number, 0 or more")


class InterpParams(Params):
    """What the analysis of a run takes.

    `key_power` is the share of the logits' power that the key frequencies carry, `faithfulness` what a circuit must
    reach, `replicates` the size of the bootstrap over inputs.
    """

    key_power: Share = 0.95
    faithfulness: Share = 0.99
    replicates: PositiveInt = 100
    sampler: SamplerParams = SamplerParams()
    thresholds: ThresholdParams = ThresholdParams()


class CompressParams(Params):
    """What compression may spend and what it aims at; compress/README.md explains each step.

    A student has `key_frequencies` * `units_per_frequency` hidden units. `closing_ratio` is what the proof needs below
    1: the error of the features over the margin of the read-out. Attempts beyond the first add a unit a frequency.
    """

    prune_criterion: Literal["answers", "train"] = Field(default="answers", description="choose answers or train")
    key_frequencies: Count = 3
    strong: Fraction = 0.5
    units_per_frequency: Count = 8
    table_bits: int = Field(default=7, ge=3, le=12, description="give a number of bits from 3 to 12")
    mix_bits: int = Field(default=7, ge=3, le=12, description="give a number of bits from 3 to 12")
    distill_steps: PositiveInt = 600
    restarts: Count = 6
    quantize_steps: PositiveInt = 150
    closing_ratio: Fraction = 0.7
    attempts: Count = 3
    seed: int = Field(default=0, ge=0, lt=2**31, description="give a whole number, 0 or more")

    @model_validator(mode="after")
    def _fits_into_memory(self) -> CompressParams:
        units = self.key_frequencies * (self.units_per_frequency + self.attempts)
        at_most(MOST_COUNT, units, "key_frequencies, units_per_frequency and attempts make too many hidden units")
        return self


class VerifyParams(Params):
    """Wall-clock seconds for the solver, all obligations of one net together; after that the verdict is Unknown."""

    timeout: float = Field(default=240.0, gt=0, le=1_000_000, description="give seconds above 0, at most 1,000,000")


class RunConfig(Params):
    """All that determines one training run, and nothing else; its hash names the resumable state.

    A run either begins with a net of the shape `net`, or goes on from the snapshot `start`, which has one.
    """

    task: TaskParams
    net: NetParams | None
    train: TrainParams
    recipe_name: str
    recipe: RecipeParams
    start: StartParams | None = None

    @property
    def name(self) -> str:
        """Of the recipe; where the run goes on from another, of both: catapult_consolidation."""
        return self.recipe_name if self.start is None else f"{self.start.recipe}_{self.recipe_name}"

    @property
    def key(self) -> str:
        """What the run is, as a directory name: modular-catapult-s0."""
        return f"modular-{self.name}-s{self.train.seed}"

    def digest(self, *also: str) -> str:
        """SHA-256 over the resolved values, defaults included, and over `also`."""
        text = json.dumps([self.model_dump(mode="json"), *also], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class RecipeBook(Params):
    """Named recipes: a section of params.yaml, or a file of its own."""

    recipes: dict[str, RecipeParams]

    @field_validator("recipes")
    @classmethod
    def _names_make_directories(cls, recipes: dict[str, RecipeParams]) -> dict[str, RecipeParams]:
        for name in recipes:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name):
                raise ValueError(f"recipe name {name!r}: use lower-case letters, digits and underscores")
            if name == "range":
                raise ValueError("recipe name 'range': is the command `python -m train range`; choose another")
        return recipes


class PipelineParams(RecipeBook):
    """The whole of params.yaml."""

    task: TaskParams
    net: NetParams
    train: TrainParams
    interp: InterpParams
    compress: CompressParams
    verify: VerifyParams
    consolidation: ConsolidationParams | None = None
    streaming: StreamingParams | None = None

    @model_validator(mode="after")
    def _fits_into_memory(self) -> PipelineParams:
        p, net, train = self.task.p, self.net, self.train
        weights = 2 * p * net.d_model + 4 * net.d_model**2 + 2 * net.d_model * net.d_mlp
        widest = max(3 * net.d_model, 9 * net.n_heads, net.d_mlp)  # three tokens, their attention, the MLP
        snapshots = len(
            snapshot_cycles(train.steps // train.cycle_steps, 0, train.snapshots.dense, train.snapshots.every)
        )
        at_most(MOST_WEIGHTS, weights, "net.d_model and net.d_mlp make too many weights")
        at_most(MOST_NUMBERS, p**2 * widest, "task.p and net make too many activations on p^2 inputs")
        at_most(MOST_STORED, snapshots * weights, "train.steps / train.cycle_steps snapshots hold too many weights")
        at_most(MOST_NUMBERS, p**2 * self.interp.replicates, "task.p and interp.replicates make too many draws")
        return self

    @model_validator(mode="after")
    def _can_be_proved(self) -> PipelineParams:
        if self.task.operation not in SIGNED:
            raise ValueError(
                f"task.operation = {self.task.operation!r}: the pipeline ends in proofs, which are of "
                f"{' and '.join(SIGNED)}; choose one of them"
            )
        return self

    @model_validator(mode="after")
    def _consolidation_has_its_recipe(self) -> PipelineParams:
        if self.consolidation is not None and CONSOLIDATION not in self.recipes:
            raise ValueError(f"consolidation: recipes has no {CONSOLIDATION!r}; add that recipe")
        for recipe in self.consolidation.after if self.consolidation is not None else ():
            if recipe not in self.recipes:
                raise ValueError(f"consolidation.after = {recipe!r}: recipes has no such recipe; take it out")
        return self

    def run_config(self, recipe: str) -> RunConfig:
        """Of a run that begins with a new net."""
        if recipe not in self.recipes:
            raise UserError(f"recipe = {recipe!r}: not in params.yaml; known: {', '.join(sorted(self.recipes))}")
        return RunConfig(
            task=self.task, net=self.net, train=self.train, recipe_name=recipe, recipe=self.recipes[recipe]
        )

    def phase(self, recipe: str) -> tuple[int, TrainParams]:
        """Of a recipe's consolidation: the cycle of its run after which it begins, and the budget that it has."""
        if self.consolidation is None or recipe not in self.consolidation.after:
            raise UserError(f"consolidation.after.{recipe} is missing in params.yaml: add it, a share of train.steps")
        cycles = self.train.steps // self.train.cycle_steps
        if cycles < 2:
            raise UserError("train.steps is one cycle, of which consolidation cannot have a part: give two or more")
        after = min(max(1, round(self.consolidation.after[recipe] * cycles)), cycles - 1)
        rest = {"steps": (cycles - after) * self.train.cycle_steps, "snapshots": self.consolidation.snapshots}
        return after, self.train.model_copy(update=rest)

    def run_key(self, name: str) -> str:
        """The key of the run of a recipe, or of its consolidation: `catapult` or `catapult_consolidation`."""
        before = name.removesuffix(f"_{CONSOLIDATION}")
        if self.consolidation is None or before == name or name in self.recipes:
            return self.run_config(name).key
        return f"modular-{self.run_config(before).name}_{CONSOLIDATION}-s{self.train.seed}"


CONSOLIDATION = "consolidation"
"""The recipe of the phase that continues other recipes' runs."""


def load_params(path: Path = Path("params.yaml")) -> PipelineParams:
    """Read and check params.yaml; a mistake raises UserError naming the key, the value and the mend."""
    return load_checked(path, PipelineParams)
