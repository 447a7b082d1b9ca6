"""The races: task, train fraction, net and batch of each, where its recipes are, and the published results to beat.

Recipes are data with the same names in every race (P3 has some of them): P2 is the default task of params.yaml and
takes those of train/recipes that are of one phase and for nets on pairs; P1 and P3 have a file each in
benchmarks/recipes. The files say where a recipe comes from and how it was tuned.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from benchmarks.defaults import pair_recipes
from pipeline.errors import UserError
from pipeline.nets import DeepTransformerConfig, MlpConfig, NetConfig, TransformerConfig, config_from, describe
from pipeline.recipe_files import RecipeBook
from pipeline.recipe_params import RecipeParams
from pipeline.tasks import ModularTask, Operation
from pipeline.validation import load_checked

ROOT = Path(__file__).parents[1]
NAME = re.compile(r"[a-z0-9][a-z0-9_]*")


@dataclass(frozen=True)
class Protocol:
    """`batch` None is the whole training set in every step; `steps` is the budget of every recipe.

    A `recipes_file` of None is all of train/recipes that is for nets on pairs.
    """

    name: str
    task: ModularTask
    fraction: float
    net: NetConfig
    batch: int | None
    steps: int
    evaluate_every: int
    recipes_file: Path | None
    published: tuple[str, ...]
    cycle_steps: int = 10

    def recipes(self) -> dict[str, RecipeParams]:
        """All recipes of the race by name; names are part of file names and of lists with commas."""
        if self.recipes_file is None:
            return pair_recipes()
        return load_checked(self.recipes_file, RecipeBook).recipes

    def changed(
        self,
        fraction: float | None = None,
        steps: int | None = None,
        p: int | None = None,
        operation: str | None = None,
    ) -> Protocol:
        """The same race at another train fraction, budget, prime or operation; None leaves a value as it is."""
        fraction = self.fraction if fraction is None else fraction
        steps = self.steps if steps is None else steps
        if not 0 < fraction < 1 or steps < 1:
            raise UserError(
                f"fraction = {fraction}, steps = {steps}: give a share between 0 and 1, and at least one step"
            )
        if int(fraction * (p or self.task.p) ** 2) < 1:
            raise UserError(f"fraction = {fraction}: not one pair; raise it")
        task = ModularTask(p or self.task.p, cast(Operation, operation or self.task.operation))
        alphabets = {name: task.p for name in ("p", "n_left", "n_right", "n_answers") if hasattr(self.net, name)}
        net = config_from({**describe(self.net), **alphabets})
        return replace(self, fraction=fraction, steps=steps, task=task, net=net)

    def __str__(self) -> str:
        batch = "full batch" if self.batch is None else f"batch {self.batch}"
        return (
            f"{self.name}: {self.task}, {self.fraction:.3g} of the pairs, {self.net.KIND}, {batch}, {self.steps} steps"
        )


P1 = Protocol(
    name="P1",
    task=ModularTask(113),
    fraction=0.4,
    net=MlpConfig(113, 113, 113, d_embed=113, widths=(200, 200), activation="gelu"),
    batch=None,
    steps=400,
    evaluate_every=1,
    recipes_file=ROOT / "benchmarks/recipes/P1.yaml",
    published=(
        "about 76 steps to 95% (64/64 seeds): AdamW lr .05 wd 2, EIFY's fork of Prieto et al. 2025, figures",
        "227 (64/64): Muon with capped embeddings, Cesista 2025",
        "44 (64 seeds): constrained Muon-like, Cesista 2025, figure; learning rate and code not published",
    ),
)

P2 = Protocol(
    name="P2",
    task=ModularTask(113),
    fraction=0.3,
    net=TransformerConfig(113),
    batch=None,
    steps=600,
    evaluate_every=1,
    recipes_file=None,
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
    recipes_file=ROOT / "benchmarks/recipes/P3.yaml",
    published=(
        "39,890 steps to 95% (1 seed): Adam, no weight decay, Grokfast (Lee et al. 2024)",
        "910 and 790 (1 seed each): Grokfast-EMA and -MA",
        "550 (200 seeds): Lion lr .001, rows clipped to norm 2, cliptogrok",
    ),
)
"""The published nets normalise the residual stream itself at the start of a block and leave b = 0 out of the pairs."""

PROTOCOLS = {protocol.name: protocol for protocol in (P1, P2, P3)}


def choose(recipes: dict[str, RecipeParams], names: str) -> dict[str, RecipeParams]:
    """Those of a comma-separated list, or all."""
    chosen = list(recipes) if names == "all" else names.split(",")
    for name in chosen:
        if name not in recipes:
            raise UserError(f"recipe = {name}: choose all or some of {', '.join(recipes)}")
    return {name: recipes[name] for name in chosen}
