"""python -m benchmarks.tune: the same search, with the same number of trials, for any recipe of a race.

Trial 0 is the recipe as its file has it. Trial t > 0 multiplies all its learning rates by one factor, all its weight
decays by another, and each strength of its method that it has (Grokfast's lamb, the norm of its constraints, the
strengths of its penalties, an output temperature other than 1) by one more; each factor is exp(.7 z), z a standard
normal number that depends on t and the kind of value alone, so every recipe is tried with the same factors.

The score is the median over the tuning seeds of the steps to 100% test accuracy, ties broken by the median steps to
95%, then by how many seeds never get there. A trial stops as soon as nothing that could still happen would beat the
best one before it, which leaves the result of the search as it is.

  python -m benchmarks.tune --protocol P1 --recipe adamw_tuned --trials 16 --out tuning.jsonl --best best.yaml
"""

from __future__ import annotations

import json
import math
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from ruamel.yaml import YAML

from benchmarks.grokking import run
from benchmarks.lines import append, read
from benchmarks.outcome import LEVELS, Point, first_reaching
from benchmarks.protocols import PROTOCOLS, Protocol, choose
from pipeline.command_line import Parser, output_file
from pipeline.errors import UserError, reported
from pipeline.recipe_params import RecipeParams
from train.divergence import Diverged

FIRST_SEED = 10000
"""Tables of the race use seeds below."""

SIGMA = 0.7
KINDS = ("rates", "decays", "lamb", "max_norm", "penalty", "temperature", "nuclear_norm", "group_penalty")

Score = tuple[float, float, float]
"""Median steps to 100% and to 95%, and the number of seeds that do not reach 95%: less is better."""

NOTHING: Score = (math.inf, math.inf, math.inf)
"""What any trial beats."""

Run = Callable[[Protocol, RecipeParams, int], Iterator[Point]]


@dataclass(frozen=True)
class Trial:
    """`stopped`: it could not beat the best trial before it, and `score` is then the best that it could have had."""

    number: int
    recipe: RecipeParams
    score: Score
    stopped: bool


def factors(trial: int) -> dict[str, float]:
    """What each kind of value is multiplied by."""
    if trial == 0:
        return dict.fromkeys(KINDS, 1.0)
    generator = random.Random(trial)
    return {kind: math.exp(SIGMA * generator.gauss(0, 1)) for kind in KINDS}


def perturbed(recipe: RecipeParams, trial: int) -> RecipeParams:
    """The recipe of a trial, its new values to three digits."""
    by = factors(trial)
    values = recipe.model_dump(mode="json")

    def scale(section: dict[str, Any] | None, key: str, kind: str) -> None:
        if section is not None and key in section:
            section[key] = float(f"{section[key] * by[kind]:.3g}") if trial else section[key]

    for group in ("optimizer", "embeddings", "readout"):
        scale(values[group], "lr", "rates")
        scale(values[group], "weight_decay", "decays")
    scale(values["gradient"], "lamb", "lamb")
    for constraint in values["constraints"]:
        scale(constraint, "max_norm", "max_norm")
    scale(values["norm_penalty"], "strength", "penalty")
    for name in ("nuclear_norm", "group_penalty"):
        scale((values[name] or {}).get("strength"), "value", name)
    if values["temperature"] != 1:
        scale(values, "temperature", "temperature")
    return RecipeParams.model_validate_json(json.dumps(values))


def best_possible(histories: Sequence[list[Point]], finished: Sequence[bool], every: int) -> Score:
    """The best score that runs with these histories can still have; the score itself where all are finished."""
    reached: list[list[float]] = [[], []]
    for history, over in zip(histories, finished, strict=True):
        for level, steps in zip((LEVELS[-1], LEVELS[0]), reached, strict=True):
            point = first_reaching(history, level)
            earliest = math.inf if over else (history[-1].step if history else 0) + every
            steps.append(point.step if point else earliest)
    return median(reached[0]), median(reached[1]), reached[1].count(math.inf)


def score(
    protocol: Protocol, recipe: RecipeParams, seeds: Sequence[int], to_beat: Score, run: Run = run
) -> tuple[Score, bool]:
    """The score of a recipe, and whether it was stopped for what it could still reach does not beat `to_beat`."""
    histories: list[list[Point]] = [[] for _ in seeds]
    finished = [False] * len(seeds)
    every = protocol.evaluate_every
    for i, seed in enumerate(seeds):
        try:
            for point in run(protocol, recipe, seed):
                histories[i].append(point)
                if point.test_accuracy == 1.0 or point.step + every > protocol.steps:
                    break
                possible = best_possible(histories, finished, every)
                if possible >= to_beat:
                    return possible, True
        except Diverged:
            pass
        finished[i] = True
        possible = best_possible(histories, finished, every)
        if possible >= to_beat:
            return possible, not all(finished)
    return best_possible(histories, finished, every), False


def search(protocol: Protocol, name: str, recipe: RecipeParams, trials: int, seeds: Sequence[int], out: Path) -> Trial:
    """All trials, printed and appended to `out` one by one; those that are there already are not run again."""
    setting = {
        "protocol": str(protocol), "every": protocol.evaluate_every, "seeds": list(seeds),
        "recipe": name, "base": recipe.model_dump(mode="json"), "sigma": SIGMA,
    }  # fmt: skip
    known = {r["trial"]: r for r in read(out) if all(r[key] == value for key, value in setting.items())}
    best: Trial | None = None
    print(f"{name} on {protocol}, evaluated every {protocol.evaluate_every}: {trials} trials, seeds {list(seeds)}")
    print(f"trial  {'steps to 100%, 95%':<28}  changes", flush=True)
    for number in range(trials):
        changed = perturbed(recipe, number)
        if number in known:
            values: list[Any] = [math.inf if value is None else value for value in known[number]["score"]]
            trial = Trial(number, changed, (values[0], values[1], values[2]), known[number]["stopped"])
        else:
            trial = Trial(number, changed, *score(protocol, changed, seeds, best.score if best else NOTHING))
            finite = [value if math.isfinite(value) else None for value in trial.score]
            result = {"trial": number, "values": changed.model_dump(mode="json"), "score": finite}
            append(out, {**setting, **result, "stopped": trial.stopped})
        print(line(trial, recipe), flush=True)
        if best is None or (not trial.stopped and trial.score < best.score):
            best = trial
    if best is None:
        raise UserError(f"--trials = {trials}: give a whole number, 1 or more")
    print(f"best: trial {best.number}", flush=True)
    return best


def line(trial: Trial, base: RecipeParams) -> str:
    """A row of the table: number, score, and the values that differ from the recipe's own."""
    steps = ["never" if value == math.inf else f"{value:g}" for value in trial.score[:2]]
    shown = "stopped" if trial.stopped else ", ".join(steps)
    if not trial.stopped and trial.score[2]:
        shown += f" ({trial.score[2]:g} not at 95%)"
    before, after = flat(base.model_dump(mode="json")), flat(trial.recipe.model_dump(mode="json"))
    changes = [f"{key} {after[key]:g}" for key in after if after[key] != before[key]]
    return f"{trial.number:<5}  {shown:<28}  {', '.join(changes) or 'as it is'}"


def flat(values: Any, where: str = "") -> dict[str, Any]:
    """Nested values by dotted keys."""
    children = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else None
    if children is None:
        return {where: values}
    return {k: v for key, child in children for k, v in flat(child, f"{where}.{key}".lstrip(".")).items()}


def write(path: Path, name: str, recipe: RecipeParams) -> None:
    """A recipe as a file that a race can load, without what is off."""
    values = {key: value for key, value in recipe.model_dump(mode="json").items() if value not in (None, [])}
    values["schedule"] = recipe.schedule.model_dump(mode="json", exclude_defaults=True)
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 120
    with path.open("w") as file:
        yaml.dump({"recipes": {name: values}}, file)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.tune", description=__doc__)
    parser.add_argument("--protocol", required=True, choices=PROTOCOLS, help="which race")
    parser.add_argument("--file", type=Path, help="a file of recipes (default: the protocol's own)")
    parser.add_argument("--recipe", required=True, help="one recipe of it, several separated by commas, or all")
    parser.add_argument("--trials", type=int, default=16, help="trials a recipe, the first unperturbed (default: 16)")
    parser.add_argument("--seeds", type=int, default=3, help=f"tuning seeds, from {FIRST_SEED} (default: 3)")
    parser.add_argument("--steps", type=int, help="another budget than the protocol's")
    parser.add_argument("--every", type=int, help="steps between evaluations (default: the protocol's)")
    parser.add_argument(
        "--out", type=output_file, required=True, help="append every trial here, as JSON lines, and go on"
    )
    parser.add_argument("--best", type=Path, required=True, help="folder for the best of each recipe, as YAML")
    options = parser.parse_args(arguments)
    for option in ("trials", "seeds", "every"):
        if getattr(options, option) is not None and getattr(options, option) < 1:
            raise UserError(f"--{option} = {getattr(options, option)}: give a whole number, 1 or more")
    protocol = PROTOCOLS[options.protocol].changed(steps=options.steps)
    file = options.file or protocol.recipes_file
    protocol = replace(protocol, evaluate_every=options.every or protocol.evaluate_every, recipes_file=file)
    seeds = range(FIRST_SEED, FIRST_SEED + options.seeds)
    options.best.mkdir(parents=True, exist_ok=True)
    for name, recipe in choose(protocol.recipes(), options.recipe).items():
        best = search(protocol, name, recipe, options.trials, seeds, options.out)
        write(options.best / f"{protocol.name}-{name}.yaml", name, best.recipe)
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.tune", main))
