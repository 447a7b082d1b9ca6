"""The races: task, train fraction, net and batch of each, its contenders as data, and the published results to beat.

A contender marked `tuned` is ours. P3's was tuned on seeds from 1000 up and tables are made on seeds below; those of P1
and P2 come from an earlier search whose seeds were not recorded, so a table of theirs on fresh seeds wants seeds that
no search is likely to have used. The others stand as their source has them, or as near as our parts come; the comment
says where they differ. Weight decays are those of torch: a step multiplies a weight by 1 - lr * weight_decay.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from pipeline.errors import UserError
from pipeline.nets import DeepTransformerConfig, MlpConfig, NetConfig, TransformerConfig, config_from, describe
from pipeline.params import RecipeParams
from pipeline.tasks import ModularTask, Operation
from train.schedules import multiplier


@dataclass(frozen=True)
class Contender:
    """A recipe, and what its schedule is of: `horizon` steps until the last rate, which then stays; None: no end."""

    recipe: RecipeParams
    horizon: int | None = None
    cycle_steps: int = 10
    tuned: bool = False

    def __post_init__(self) -> None:
        if (self.horizon is None) != (self.recipe.schedule.kind in ENDLESS):
            raise ValueError(f"schedule {self.recipe.schedule.kind} with horizon {self.horizon}")

    def factor(self, step: int) -> float:
        """The multiplier on every rate at `step`, from 0, for any number of steps."""
        horizon = sys.maxsize if self.horizon is None else self.horizon
        return multiplier(self.recipe.schedule, min(step, horizon), self.cycle_steps, horizon)


@dataclass(frozen=True)
class Protocol:
    """`batch` None is the whole training set in every step; `steps` is the budget of every contender."""

    name: str
    task: ModularTask
    fraction: float
    net: NetConfig
    batch: int | None
    steps: int
    evaluate_every: int
    contenders: Mapping[str, Contender]
    published: tuple[str, ...]

    def changed(self, fraction: float | None, steps: int | None, p: int | None, operation: str | None) -> Protocol:
        """The same race at another train fraction, budget, prime or operation; None leaves a value as it is."""
        fraction, steps = fraction or self.fraction, steps or self.steps
        if not 0 < fraction < 1 or steps < 1:
            raise UserError(
                f"fraction = {fraction}, steps = {steps}: give a share between 0 and 1, and at least one step"
            )
        task = ModularTask(p or self.task.p, cast(Operation, operation or self.task.operation))
        alphabets = {name: task.p for name in ("p", "n_left", "n_right", "n_answers") if hasattr(self.net, name)}
        net = config_from({**describe(self.net), **alphabets})
        return replace(self, fraction=fraction, steps=steps, task=task, net=net)

    def __str__(self) -> str:
        batch = "full batch" if self.batch is None else f"batch {self.batch}"
        return (
            f"{self.name}: {self.task}, {self.fraction:.3g} of the pairs, {self.net.KIND}, {batch}, {self.steps} steps"
        )


ENDLESS = ("constant", "cyclic", "triangular", "catapult")


def adamw(lr: float, weight_decay: float, *betas: float) -> dict[str, Any]:
    return {"kind": "adamw", "lr": lr, "weight_decay": weight_decay, "betas": betas}


def muon(lr: float, weight_decay: float, momentum: float = 0.95, nesterov: bool = True) -> dict[str, Any]:
    return {"kind": "muon", "lr": lr, "weight_decay": weight_decay, "momentum": momentum, "nesterov": nesterov}


def init(embed_std: float, hidden_gain: float = 1.0, readout_gain: float = 1.0) -> dict[str, float]:
    return {"embed_std": embed_std, "hidden_gain": hidden_gain, "readout_gain": readout_gain}


def penalty(strength: float, radius: float | None) -> dict[str, float | None]:
    return {"strength": strength, "radius": radius}


def contender(
    schedule: Mapping[str, Any],
    horizon: int | None = None,
    *,
    cycle_steps: int = 10,
    tuned: bool = False,
    **recipe: Any,
) -> Contender:
    return Contender(RecipeParams.model_validate({"schedule": schedule, **recipe}), horizon, cycle_steps, tuned)


TORCH = init(1.0, 3**-0.5, 3**-0.5)
"""torch's own scales: embeddings N(0, 1); uniform on +-1/sqrt(fan_in) has this standard deviation."""

WARM = {"kind": "constant", "warmup_steps": 10}
COSINE = {"kind": "cosine", "floor": 0.02}
CYCLIC = {"kind": "cyclic", "floor": 0.02}

P1_MUON = {
    "init": init(0.094, 0.9, 1.13),
    "optimizer": muon(0.362, 0.42, 0.75, False),
    "embeddings": adamw(0.2, 0.575, 0.55, 0.99),
    "readout": adamw(0.15, 0.667, 0.55, 0.99),
}
P1 = Protocol(
    name="P1",
    task=ModularTask(113),
    fraction=0.4,
    net=MlpConfig(113, 113, 113, d_embed=113, widths=(200, 200), activation="gelu"),
    batch=None,
    steps=400,
    evaluate_every=1,
    contenders={
        # Nanda et al. 2023 on their transformer
        "adamw": contender(WARM, init=TORCH, optimizer=adamw(0.001, 1.0, 0.9, 0.98)),
        # EIFY's fork of Prieto et al. 2025; they have epsilon 1e-25 and bfloat16
        "adamw_tuned": contender(WARM, init=TORCH, optimizer=adamw(0.05, 2.0, 0.9, 0.99)),
        # Prieto et al. 2025; their inputs are one-hot
        "perpendicular": contender(
            WARM, init=TORCH, optimizer=adamw(0.01, 0.0, 0.9, 0.99), gradient={"kind": "perpendicular"}
        ),
        "stablemax": contender(WARM, init=TORCH, optimizer=adamw(0.01, 0.0, 0.9, 0.99), loss="stablemax"),
        # Lee et al. 2024, their setting for an MLP
        "grokfast": contender(
            WARM,
            init=TORCH,
            optimizer=adamw(0.001, 2.0, 0.9, 0.98),
            gradient={"kind": "grokfast", "alpha": 0.8, "lamb": 0.1},
        ),
        # cliptogrok's optimiser and clip; their initial weights lie on the sphere
        "lion_clipped": contender(
            WARM,
            init=TORCH,
            optimizer={"kind": "lion", "lr": 0.001, "weight_decay": 0.0, "betas": (0.9, 0.97)},
            constraints=({"kind": "rows", "groups": ("matrices",), "max_norm": 2.0},),
        ),
        # Cesista 2025 caps the embeddings; the rates are not published
        "muon_capped": contender(
            WARM,
            **P1_MUON,
            constraints=({"kind": "rows", "groups": ("embeddings", "readout"), "max_norm": 1.0},),
        ),
        # radial suppression beside the tuned AdamW: to sqrt(width), and to zero
        "radial_root": contender(
            WARM, init=TORCH, optimizer=adamw(0.05, 2.0, 0.9, 0.99), norm_penalty=penalty(0.01, None)
        ),
        "radial_zero": contender(
            WARM, init=TORCH, optimizer=adamw(0.05, 2.0, 0.9, 0.99), norm_penalty=penalty(0.01, 0.0)
        ),
        # the fastest, and the same without each of its parts
        "muon_radial": contender(COSINE, 60, tuned=True, **P1_MUON, norm_penalty=penalty(0.258, 0.0), temperature=0.84),
        "less_temperature": contender(COSINE, 60, **P1_MUON, norm_penalty=penalty(0.258, 0.0)),
        "less_penalty": contender(COSINE, 60, **P1_MUON, temperature=0.84),
        # for small train fractions: half the penalty, and a rate that falls over more steps
        "muon_radial_long": contender(COSINE, 800, **P1_MUON, norm_penalty=penalty(0.129, 0.0), temperature=0.84),
        # the same with cycles
        "catapult": contender(CYCLIC, **P1_MUON, norm_penalty=penalty(0.258, 0.0), temperature=0.84),
    },
    published=(
        "about 76 steps to 95% (64/64 seeds): AdamW lr .05 wd 2, EIFY's fork of Prieto et al. 2025, figures",
        "227 (64/64): Muon with capped embeddings, Cesista 2025",
        "44 (64 seeds): constrained Muon-like, Cesista 2025, figure; learning rate and code not published",
    ),
)

P2_MUON = {
    "init": init(0.124, 0.781, 1.27),
    "optimizer": muon(0.277, 0.233, 0.8, True),
    "embeddings": adamw(0.05, 0.85, 0.774, 0.993),
    "readout": adamw(0.05, 1.2, 0.774, 0.993),
    "temperature": 1.07,
}
NANDA = init(128**-0.5)
P2 = Protocol(
    name="P2",
    task=ModularTask(113),
    fraction=0.3,
    net=TransformerConfig(113),
    batch=None,
    steps=600,
    evaluate_every=1,
    contenders={
        # Nanda et al. 2023
        "adamw": contender(WARM, init=NANDA, optimizer=adamw(0.001, 1.0, 0.9, 0.98)),
        # the same at ten times the rate
        "adamw_tuned": contender(WARM, init=NANDA, optimizer=adamw(0.01, 1.0, 0.9, 0.98)),
        "perpendicular": contender(
            WARM, init=NANDA, optimizer=adamw(0.01, 0.0, 0.9, 0.98), gradient={"kind": "perpendicular"}
        ),
        "stablemax": contender(WARM, init=NANDA, optimizer=adamw(0.01, 0.0, 0.9, 0.98), loss="stablemax"),
        "grokfast": contender(
            WARM,
            init=NANDA,
            optimizer=adamw(0.001, 1.0, 0.9, 0.98),
            gradient={"kind": "grokfast", "alpha": 0.98, "lamb": 2.0},
        ),
        "lion_clipped": contender(
            WARM,
            init=NANDA,
            optimizer={"kind": "lion", "lr": 0.001, "weight_decay": 0.0, "betas": (0.9, 0.97)},
            constraints=({"kind": "rows", "groups": ("matrices",), "max_norm": 2.0},),
        ),
        "radial_root": contender(
            WARM, init=NANDA, optimizer=adamw(0.01, 1.0, 0.9, 0.98), norm_penalty=penalty(0.01, None)
        ),
        "radial_zero": contender(
            WARM, init=NANDA, optimizer=adamw(0.01, 1.0, 0.9, 0.98), norm_penalty=penalty(0.01, 0.0)
        ),
        "muon_radial": contender(COSINE, 100, tuned=True, **P2_MUON, norm_penalty=penalty(0.0151, 0.532)),
        "muon_radial_long": contender(COSINE, 400, **P2_MUON, norm_penalty=penalty(0.0151, 0.532)),
        "less_penalty": contender(COSINE, 100, **P2_MUON),
        "catapult": contender(CYCLIC, **P2_MUON, norm_penalty=penalty(0.0151, 0.532)),
    },
    published=("7,930 steps to test loss < .1 (1 seed): AdamW lr .001 wd 1, Nanda et al. 2023, shipped curves",),
)

P3 = Protocol(
    name="P3",
    task=ModularTask(97, "multiplication"),
    fraction=0.5,
    net=DeepTransformerConfig(97, 97, 97),
    batch=512,
    steps=1000,
    evaluate_every=5,
    contenders={
        # Lee et al. 2024
        "adamw": contender(WARM, init=TORCH, optimizer=adamw(0.001, 0.0, 0.9, 0.98)),
        "grokfast": contender(
            WARM,
            init=TORCH,
            optimizer=adamw(0.001, 0.0, 0.9, 0.98),
            gradient={"kind": "grokfast", "alpha": 0.98, "lamb": 2.0},
        ),
        # cliptogrok; their initial weights lie on the sphere
        "lion_clipped": contender(
            WARM,
            init=TORCH,
            optimizer={"kind": "lion", "lr": 0.001, "weight_decay": 0.0, "betas": (0.9, 0.97)},
            constraints=({"kind": "rows", "groups": ("matrices",), "max_norm": 2.0},),
        ),
        # as muon_radial, without its penalty: the last norm layer fixes the length already
        "muon": contender(
            COSINE,
            240,
            tuned=True,
            init=init(0.08, 0.78, 1.27),
            optimizer=muon(0.08, 0.25, 0.8),
            embeddings=adamw(0.02, 0.8, 0.8, 0.99),
            readout=adamw(0.02, 0.8, 0.8, 0.99),
        ),
    },
    published=(
        "39,890 steps to 95% (1 seed): Adam, no weight decay, Grokfast (Lee et al. 2024)",
        "910 and 790 (1 seed each): Grokfast-EMA and -MA",
        "550 (200 seeds): Lion lr .001, rows clipped to norm 2, cliptogrok",
    ),
)
"""The published nets normalise the residual stream itself at the start of a block and leave b = 0 out of the pairs."""

PROTOCOLS = {protocol.name: protocol for protocol in (P1, P2, P3)}
