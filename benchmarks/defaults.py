"""The default experiments of params.yaml as benchmarks take them, by any recipe of train/recipes.

Without torch, so that what starts processes can read its parameters first.
"""

from __future__ import annotations

from pipeline.errors import UserError
from pipeline.experiment import Experiment, ModularParams, StreamParams, TransformerParams
from pipeline.params import PipelineParams, phases
from pipeline.recipe_files import known_recipes, load_recipe, recipe_file
from pipeline.recipe_params import RecipeParams

STREAMS = "addition_"
"""How the names of the recipes begin that are for recurrent nets on streams."""


def modular_experiment(params: PipelineParams, recipe: str) -> Experiment:
    """The experiment modular-standard of params.yaml by whatever recipe: on the same task, net and budget."""
    base = params.experiment("modular-standard")
    other = {"name": f"modular-{recipe}", "recipe": recipe, "phases": tuple(phases(recipe, base.train))}
    return base.model_copy(update=other)


def pair_recipes() -> dict[str, RecipeParams]:
    """All recipes of train/recipes by name that are of one phase and for nets on pairs."""
    names = [name for name in known_recipes() if not name.startswith(STREAMS) and not recipe_file(name).phases]
    return {name: load_recipe(name) for name in names}


def modular_task(experiment: Experiment) -> ModularParams:
    """The task of an experiment of arithmetic mod p; UserError where params.yaml gives it another."""
    if not isinstance(experiment.task, ModularParams):
        raise UserError(
            f"{experiment.name}: its task is {experiment.task.name}; give it arithmetic mod p in params.yaml"
        )
    return experiment.task


def stream_task(experiment: Experiment) -> StreamParams:
    """The task of an experiment on streams; UserError where params.yaml gives it another."""
    if not isinstance(experiment.task, StreamParams):
        raise UserError(f"{experiment.name}: its task is {experiment.task.name}; give it one on streams in params.yaml")
    return experiment.task


def transformer(experiment: Experiment) -> TransformerParams:
    """The shape of the net of an experiment on pairs; UserError where params.yaml gives it another."""
    if not isinstance(experiment.net, TransformerParams):
        raise UserError(f"{experiment.name}: its net is no transformer; give it one in params.yaml")
    return experiment.net
