"""params.yaml as typed, frozen values: the experiments, the parts that they name, and what each room may spend.

Rooms take these objects as arguments; only the stage scripts and the commands read the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipeline.errors import UserError
from pipeline.experiment import Experiment, ModularParams, NetParams, Phase, TaskParams, TrainParams
from pipeline.fields import (
    MOST_COUNT,
    MOST_NUMBERS,
    Count,
    Fraction,
    NonNegative,
    Params,
    Positive,
    PositiveInt,
    Share,
    at_most,
)
from pipeline.recipe_files import load_phases
from pipeline.validation import checked, load_checked

NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


class ExperimentEntry(Params):
    """One entry of `experiments`: a task, a net and a budget of this file by name, and a recipe of train/recipes."""

    task: str
    net: str
    recipe: str
    train: str


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


class PairCompressParams(Params):
    """What the compression of a net on pairs may spend and what it aims at; compress/README.md explains each step.

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
    def _fits_into_memory(self) -> PairCompressParams:
        units = self.key_frequencies * (self.units_per_frequency + self.attempts)
        at_most(MOST_COUNT, units, "key_frequencies, units_per_frequency and attempts make too many hidden units")
        return self


class StreamCompressParams(Params):
    """What the search for the smallest recurrent student may spend; compress/streaming.py explains each step."""

    students: Count = 16
    first_hidden: int = Field(default=16, ge=1, le=256, description="give a number of units from 1 to 256")
    last_hidden: PositiveInt = 5
    first_steps: PositiveInt = 600
    cycle_steps: PositiveInt = 400
    rounded_from: PositiveInt = 8
    round_steps: PositiveInt = 400
    most_bits: int = Field(default=8, ge=2, le=16, description="give a number of bits from 2 to 16")
    seed: int = Field(default=0, ge=0, lt=2**31, description="give a whole number, 0 or more")


class CompressParams(Params):
    """Compression, by what a net reads: pairs of symbols, or streams of them."""

    pairs: PairCompressParams = PairCompressParams()
    streams: StreamCompressParams = StreamCompressParams()


class VerifyParams(Params):
    """Wall-clock seconds for the solver, all obligations of one net together; after that the verdict is Unknown."""

    timeout: float = Field(default=240.0, gt=0, le=1_000_000, description="give seconds above 0, at most 1,000,000")


class RoomParams(Params):
    """What interp, compress and verify may spend, on whatever net."""

    interp: InterpParams = InterpParams()
    compress: CompressParams = CompressParams()
    verify: VerifyParams = VerifyParams()


class PipelineParams(RoomParams):
    """The whole of params.yaml."""

    experiments: dict[str, ExperimentEntry] = Field(min_length=1)
    tasks: dict[str, TaskParams]
    nets: dict[str, NetParams]
    train: dict[str, TrainParams]

    @field_validator("experiments")
    @classmethod
    def _names_make_directories(cls, experiments: dict[str, ExperimentEntry]) -> dict[str, ExperimentEntry]:
        for name in experiments:
            if not NAME.fullmatch(name):
                raise ValueError(f"name {name!r}: use lower-case letters, digits, dashes and underscores")
            if name in COMMANDS:
                raise ValueError(f"name {name!r}: is the command `python -m train {name}`; choose another")
        return experiments

    @model_validator(mode="after")
    def _parts_are_there(self) -> PipelineParams:
        for name, entry in self.experiments.items():
            for part, section in (("task", self.tasks), ("net", self.nets), ("train", self.train)):
                wanted, known = getattr(entry, part), ", ".join(section)
                if wanted not in section:
                    where = f"experiments.{name}.{part} = {wanted!r}"
                    raise ValueError(f"{where}: not in this file; known: {known}")
        return self

    @model_validator(mode="after")
    def _replicates_fit_into_memory(self) -> PipelineParams:
        for name, task in self.tasks.items():
            if isinstance(task, ModularParams):
                draws = task.p**2 * self.interp.replicates
                at_most(MOST_NUMBERS, draws, f"tasks.{name}.p and interp.replicates make too many draws")
        return self

    def experiment(self, name: str, recipes: Path | None = None) -> Experiment:
        """An experiment with everything that it names; raises UserError where it is not in the file."""
        if name not in self.experiments:
            raise UserError(f"experiment = {name!r}: not in params.yaml; known: {', '.join(self.experiments)}")
        entry = self.experiments[name]
        train = self.train[entry.train]
        values = {
            "name": name,
            "task": self.tasks[entry.task].model_dump(mode="json"),
            "net": self.nets[entry.net].model_dump(mode="json"),
            "recipe": entry.recipe,
            "phases": [phase.model_dump(mode="json") for phase in self._phases(name, recipes)],
            "train": train.model_dump(mode="json"),
        }
        return checked(values, Experiment, f"experiments.{name}")

    def _phases(self, name: str, recipes: Path | None) -> list[Phase]:
        entry = self.experiments[name]
        try:
            return phases(entry.recipe, self.train[entry.train], recipes)
        except UserError as error:
            raise UserError(f"experiments.{name}: {error}") from None


COMMANDS = ("range", "continue")
"""Of `python -m train`, beside the names of experiments."""


def phases(recipe: str, train: TrainParams, recipes: Path | None = None) -> list[Phase]:
    """The phases of a recipe in whole cycles, at least one each. Raises UserError where there are too few cycles."""
    cycles, found = train.steps // train.cycle_steps, list[Phase]()
    given = load_phases(recipe, recipes)
    if cycles < len(given):
        made = f"train.steps = {train.steps} makes {cycles} cycles"
        raise UserError(f"{made}, and {recipe} has {len(given)} phases: give more steps")
    for i, (name, until, parts) in enumerate(given):
        first = found[-1].last_cycle if found else 0
        last = min(max(first + 1, round(until * cycles)), cycles - (len(given) - 1 - i))
        found.append(Phase(recipe=name, last_cycle=last, parts=parts))
    return found


def load_params(path: Path = Path("params.yaml")) -> PipelineParams:
    """Read and check params.yaml; a mistake raises UserError naming the key, the value and the mend."""
    return load_checked(path, PipelineParams)


def room_params(path: Path = Path("params.yaml")) -> RoomParams:
    """What the rooms may spend by params.yaml; their defaults where there is no such file."""
    return load_params(path) if path.exists() else RoomParams()
