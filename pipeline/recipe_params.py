"""A recipe as typed, frozen values: what `train/` is made of, each method switched on by being named.

What a recipe leaves out is off. `train/` has one file for each idea, with its equation and its source.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from pipeline.fields import Fraction, Momentum, NonNegative, Params, PositiveInt, Rate, Share

Group = Literal["matrices", "embeddings", "readout"]


class AdamWParams(Params):
    """torch.optim.AdamW (Loshchilov and Hutter 2019); a step decays weights by the factor 1 - lr * weight_decay."""

    kind: Literal["adamw"]
    lr: Rate
    weight_decay: NonNegative
    betas: tuple[Momentum, Momentum] = (0.9, 0.98)


class MuonParams(Params):
    """torch.optim.Muon (Jordan et al. 2024): orthogonalised momentum, for hidden matrices only.

    As torch has it, the rate of an m by n matrix is lr * sqrt(max(1, m / n)); weight decay is by lr * weight_decay.
    """

    kind: Literal["muon"]
    lr: Rate
    weight_decay: NonNegative
    momentum: Momentum = 0.95
    nesterov: bool = True


class LionParams(Params):
    """train/lion.py (Chen et al. 2023): the sign of an interpolated momentum."""

    kind: Literal["lion"]
    lr: Rate
    weight_decay: NonNegative
    betas: tuple[Momentum, Momentum] = (0.9, 0.99)


OptimizerParams = Annotated[AdamWParams | MuonParams | LionParams, Field(discriminator="kind")]


class InitParams(Params):
    """Normal initialisation: embeddings N(0, embed_std^2), matrices N(0, gain^2 / fan_in), biases 0."""

    embed_std: Rate
    hidden_gain: Rate = 1.0
    readout_gain: Rate = 1.0


SCHEDULE_KEYS: dict[str, tuple[str, ...]] = {
    "constant": (),
    "cosine": ("floor",),
    "one_cycle": ("floor", "peak", "rise"),
    "cyclic": ("floor", "peak", "growth", "shift"),
    "triangular": ("floor", "peak", "rise", "growth", "shift"),
    "catapult": ("floor", "peak", "hot", "growth", "shift"),
}
"""What each kind reads beside `warmup_steps`, `cooldown` (which reads `floor`) and `horizon`; not the others."""


class ScheduleParams(Params):
    """Multiplier on every learning rate; train/schedules.py has the formula of each kind.

    `peak` is where a cycle starts or culminates, in units of the recipe's rate, so above 1 it exceeds the rate that
    `constant` would hold. Cycle i is train.cycle_steps * growth^i steps long, and the first begins at its share
    `shift`; snapshots and the column `cycle` count train.cycle_steps alone. Over the last share `cooldown` of the
    budget all falls to `floor`; the budget is `horizon` steps, or all of the training where that is null. All kinds
    rise linearly over the first `warmup_steps`.
    """

    kind: Literal["constant", "cosine", "one_cycle", "cyclic", "triangular", "catapult"] = Field(
        description=f"choose one of {', '.join(SCHEDULE_KEYS)}"
    )
    warmup_steps: int = Field(default=0, ge=0, description="give a whole number of steps, 0 or more")
    floor: float = Field(default=0.0, ge=0, le=1, description="give a share of the recipe's rate, 0 to 1")
    peak: Rate = 1.0
    rise: Share = 0.5
    hot: Share = 0.2
    growth: PositiveInt = 1
    shift: Momentum = 0.0
    cooldown: Momentum = 0.0
    horizon: PositiveInt | None = None


class GrokfastParams(Params):
    """train/grokfast.py (Lee et al. 2024): adds `lamb` times the running mean of the gradients to the gradient."""

    kind: Literal["grokfast"]
    alpha: Momentum = 0.98
    lamb: NonNegative = 2.0


class PerpendicularParams(Params):
    """train/perpendicular.py (Prieto et al. 2025): takes the component along the weights out of the gradient."""

    kind: Literal["perpendicular"]
    rescale: bool = True


GradientParams = Annotated[GrokfastParams | PerpendicularParams, Field(discriminator="kind")]


class ConstraintParams(Params):
    """What holds after every step for the 2-D weights of `groups`; train/constraints.py.

    `rows`: no row is longer than `max_norm`. `spectral`: no singular value is greater.
    """

    kind: Literal["rows", "spectral"] = Field(description="choose rows or spectral")
    groups: tuple[Group, ...] = Field(min_length=1, description="list some of matrices, embeddings, readout")
    max_norm: Rate


class NormPenaltyParams(Params):
    """strength * mean over the batch of (|residual stream before the read-out| - radius)^2.

    A radius of null is sqrt(width), where radial suppression pulls; 0 is the plain penalty on the square.
    """

    strength: NonNegative
    radius: NonNegative | None


class StrengthParams(Params):
    """How strong a penalty or noise on weights is, by the share of the budget that is over; train/strength.py.

    0 before `begin`, then straight up to `value` over `rise`; `end` times `value` for the last `anneal`.
    """

    value: NonNegative
    begin: Momentum = 0.0
    rise: Momentum = 0.0
    anneal: Momentum = 0.0
    end: Fraction = 0.0

    @model_validator(mode="after")
    def _holds_for_a_while(self) -> StrengthParams:
        if self.begin + self.rise + self.anneal >= 1:
            raise ValueError("begin, rise and anneal come to 1 or more, so that it never holds: lower one of them")
        return self


class NuclearNormParams(Params):
    """strength * sum of the singular values of the 2-D weights of `groups`; train/nuclear_norm.py.

    While it acts, a singular value is set to 0 where it is at most `dead` times the greatest of its matrix.
    """

    groups: tuple[Group, ...] = Field(min_length=1, description="list some of matrices, embeddings, readout")
    strength: StrengthParams
    dead: Fraction = 0.0


class GroupPenaltyParams(Params):
    """strength * sum over hidden units of the length of all weights into and out of it; train/group_penalty.py.

    While it acts, a unit is set to 0 whose length in times length out is at most `dead` times its layer's greatest.
    """

    strength: StrengthParams
    dead: Fraction = 1e-3


class TeachParams(Params):
    """Lessons from counterexamples, for recurrent nets; train/teaching.py.

    At the end of a cycle up to `counterexamples` streams that the net gets wrong become examples. A net that gives less
    than `learnt` of the digits it is shown right is taught nothing, and after three such cycles in a row its weights
    are drawn anew; with 0 never.
    """

    counterexamples: int = Field(default=8, ge=0, le=64, description="give how many a cycle may feed back, 0 to 64")
    learnt: Fraction = 0.0


class RecipeParams(Params):
    """Optimiser, schedule, loss, regularisers. `embeddings` and `readout` fall back on `optimizer` where null.

    `embeddings` also holds the biases. The loss is that of `temperature` * logits, plus the penalties. Weight noise
    and activation noise are in units of the RMS of what they are added to; `state_noise` is for recurrent nets, whose
    state lies in [0, 1], and is in its units.
    """

    init: InitParams
    optimizer: OptimizerParams
    embeddings: OptimizerParams | None = None
    readout: OptimizerParams | None = None
    schedule: ScheduleParams
    loss: Literal["cross_entropy", "stablemax"] = Field(
        default="cross_entropy", description="choose cross_entropy or stablemax"
    )
    temperature: Rate = 1.0
    gradient: GradientParams | None = None
    constraints: tuple[ConstraintParams, ...] = ()
    norm_penalty: NormPenaltyParams | None = None
    nuclear_norm: NuclearNormParams | None = None
    group_penalty: GroupPenaltyParams | None = None
    weight_noise: StrengthParams | None = Field(default=None, description="give such as {value: 0.3, rise: 0.5}")
    activation_noise: NonNegative | None = None
    dropout: Momentum | None = None
    state_noise: NonNegative | None = None
    teach: TeachParams | None = None

    @model_validator(mode="after")
    def _muon_is_for_hidden_matrices(self) -> RecipeParams:
        for name in ("embeddings", "readout"):
            chosen = getattr(self, name) or self.optimizer
            if chosen.kind == "muon":
                raise ValueError(
                    f"{name} would be trained by muon, which is for hidden matrices only: give it an adamw"
                )
        return self
