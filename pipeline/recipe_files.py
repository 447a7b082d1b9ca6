"""Recipes as people write them: `train/recipes/NAME.yaml`, found by its name.

A file says what its recipe is `about`, its `structure` (which optimisers, schedule, loss and regularisers) and its
`numbers`, which are merged into the structure; `tuned` says on what, with how many trials and on which seeds the
numbers were found, and is null where they were not tuned. A file with `phases` instead runs other recipes one after
another, each `until` a share of the steps.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from pipeline.errors import UserError
from pipeline.fields import Params
from pipeline.recipe_params import RecipeParams
from pipeline.validation import checked, load_checked

OURS = Path(__file__).parents[1] / "train" / "recipes"
HERE = Path("train") / "recipes"


def recipes_folder() -> Path:
    """That of the working directory, a checkout, where it has one; else the one that was installed."""
    return HERE if HERE.is_dir() else OURS


class Tuned(Params):
    """Where the numbers of a recipe come from."""

    on: str
    trials: str
    seeds: str


class PhaseEntry(Params):
    """A recipe and the share of all steps at which it ends, in whole cycles."""

    recipe: str
    until: float = Field(gt=0, le=1, description="give a share of the steps above 0, at most 1, such as 0.12")


class RecipeFile(Params):
    """One file of `train/recipes/`."""

    about: str
    structure: dict[str, Any] = Field(default={})
    numbers: dict[str, Any] = Field(default={})
    phases: tuple[PhaseEntry, ...] = ()
    tuned: Tuned | None = None

    @model_validator(mode="after")
    def _one_or_many(self) -> RecipeFile:
        if bool(self.phases) == bool(self.structure or self.numbers):
            raise ValueError("give either structure and numbers, or phases")
        ends = [phase.until for phase in self.phases]
        if ends and (ends != sorted(set(ends)) or ends[-1] != 1):
            raise ValueError(f"phases end at {ends}: let each end later than the one before, the last at 1.0")
        return self


def known_recipes(folder: Path | None = None) -> list[str]:
    """Names of the recipes in a folder."""
    return sorted(path.stem for path in (folder or recipes_folder()).glob("*.yaml"))


def recipe_file(name: str, folder: Path | None = None) -> RecipeFile:
    """The file of a recipe; raises UserError for one that is not there."""
    path = (folder or recipes_folder()) / f"{name}.yaml"
    if not path.is_file():
        raise UserError(f"recipe = {name!r}: not in train/recipes; known: {', '.join(known_recipes(folder))}")
    return load_checked(path, RecipeFile)


def load_recipe(name: str, folder: Path | None = None) -> RecipeParams:
    """A recipe of one phase, its numbers in its structure."""
    file, source = recipe_file(name, folder), f"train/recipes/{name}.yaml"
    if file.phases:
        raise UserError(f"recipe = {name!r}: has phases, where one recipe is needed; give one of them")
    try:
        return checked(merged(file.structure, file.numbers), RecipeParams, source)
    except UserError as error:
        raise UserError(_with_part(str(error), file, source)) from None


def _with_part(message: str, file: RecipeFile, source: str) -> str:
    """A mistake in a recipe, with the part of the file that its key stands in before the key."""
    told = message.removeprefix(f"{source}: ")
    key = told.split(" = ")[0].split(": ")[0]
    for part in ("numbers", "structure"):
        values: Any = getattr(file, part)
        for step in key.split("."):
            values = values.get(step) if isinstance(values, dict) else None
            if isinstance(values, list):
                break
        if values is not None:
            return f"{source}: {part}.{told}"
    return message


def load_phases(name: str, folder: Path | None = None) -> list[tuple[str, float, RecipeParams]]:
    """The phases of a recipe, one for most: name of the recipe, share of all steps at which it ends, its parts."""
    file = recipe_file(name, folder)
    entries = file.phases or (PhaseEntry(recipe=name, until=1.0),)
    return [(entry.recipe, entry.until, load_recipe(entry.recipe, folder)) for entry in entries]


def merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings as one; where both have a value that is no mapping, that of `above`."""
    both = dict(below)
    for key, value in above.items():
        old = both.get(key)
        both[key] = merged(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return both


class RecipeBook(Params):
    """Named recipes in one file of their own, as the races of benchmarks/ keep them."""

    recipes: dict[str, RecipeParams]

    @field_validator("recipes")
    @classmethod
    def _names_make_files(cls, recipes: dict[str, RecipeParams]) -> dict[str, RecipeParams]:
        for name in recipes:
            if not re.fullmatch(r"[a-z0-9][a-z0-9_]*", name):
                raise ValueError(f"recipe name {name!r}: use lower-case letters, digits and underscores")
        return recipes
