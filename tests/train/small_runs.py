"""Small experiments for the tests of training, and how two run directories are compared."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipeline.experiment import Experiment
from pipeline.params import load_params, phases
from pipeline.recipe_files import known_recipes, load_recipe, merged, recipe_file
from pipeline.recipe_params import RecipeParams
from pipeline.validation import checked

ROOT = Path(__file__).parents[2]
FOR_STREAMS = "addition_"
"""How the names of the recipes begin that are made for recurrent nets on streams."""
PAIR_RECIPES = [name for name in known_recipes() if not name.startswith(FOR_STREAMS)]
"""Those for nets on pairs, the ones of two phases among them."""
RECIPES = {name: load_recipe(name) for name in PAIR_RECIPES if not recipe_file(name).phases}
"""The parts of those that have one phase."""


def small_params(directory: Path, **changes: str) -> Path:
    """params.yaml made small: p = 11, 24 steps in cycles of 4."""
    text = (ROOT / "params.yaml").read_text()
    edits = {
        "p: 113": "p: 11",
        "d_model: 128": "d_model: 16",
        "d_mlp: 512": "d_mlp: 32",
        "steps: 500": "steps: 24",
        "cycle_steps: 10": "cycle_steps: 4",
        "evaluate_every: 5": "evaluate_every: 3",
        **changes,
    }
    for old, new in edits.items():
        assert old in text
        text = text.replace(old, new, 1)
    path = directory / "params.yaml"
    path.write_text(text)
    return path


def small_experiment(directory: Path, recipe: str, **changes: str) -> Experiment:
    """modular-standard of the small params.yaml, by another recipe of train/recipes."""
    given = load_params(small_params(directory, **changes)).experiment("modular-standard")
    steps = [phase.model_dump(mode="json") for phase in phases(recipe, given.train)]
    values = {**given.model_dump(mode="json"), "name": f"modular-{recipe}", "recipe": recipe, "phases": steps}
    return checked(values, Experiment, recipe)


def with_parts(experiment: Experiment, **changes: Any) -> Experiment:
    """The same experiment with other parts of its recipe, in every phase; `changes` may be plain values."""
    changed = [
        phase.model_copy(
            update={"parts": checked(merged(phase.parts.model_dump(mode="json"), changes), RecipeParams, "")}
        )
        for phase in experiment.phases
    ]
    return experiment.model_copy(update={"phases": tuple(changed)})


def with_train(experiment: Experiment, **changes: Any) -> Experiment:
    """The same experiment with another seed, batch size or the like; not with another number of steps."""
    return experiment.model_copy(update={"train": experiment.train.model_copy(update=changes)})


def contents(run: Path) -> dict[str, bytes]:
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.rglob("*")) if path.is_file()}
