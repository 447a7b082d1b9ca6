"""What one race gave, and the table of many: how far to each mark, failures counted as failures."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import median
from typing import Any, Literal

from pipeline.errors import UserError
from pipeline.recipe_params import RecipeParams

LEVELS = (0.95, 0.99, 1.0)
Quantity = Literal["step", "samples", "cpu_seconds"]
UNITS: dict[Quantity, tuple[str, float, int]] = {
    "step": ("steps", 1, 0),
    "samples": ("thousand samples", 1000, 1),
    "cpu_seconds": ("CPU seconds", 1, 2),
}
"""What a block of the table is called, what its numbers are divided by, and their digits."""


@dataclass(frozen=True)
class Point:
    """One evaluation: after `step` updates on `samples` examples, which took `cpu_seconds` without evaluations."""

    step: int
    samples: int
    cpu_seconds: float
    test_accuracy: float


@dataclass(frozen=True)
class Hold:
    """What became of 100%: `from_step` is the first step at it; `last` is the accuracy at `to_step`, the end."""

    from_step: int
    to_step: int
    lowest: float
    last: float

    @property
    def kept(self) -> bool:
        return self.last == 1.0


@dataclass(frozen=True)
class Outcome:
    """One recipe on one seed. `reached` has one entry for each of LEVELS, None where the run never got there.

    `digest` tells recipes of one name and different values apart.
    """

    protocol: str
    recipe: str
    digest: str
    seed: int
    steps: int
    best: float
    reached: tuple[Point | None, ...]
    hold: Hold | None = None
    diverged: bool = False

    def __str__(self) -> str:
        steps = ", ".join("never" if point is None else str(point.step) for point in self.reached)
        end = f", {self.hold.last:.2%} at {self.hold.to_step}" if self.hold is not None else ""
        return f"{self.recipe} seed {self.seed}: {steps}{end}{', diverged' if self.diverged else ''}"

    @property
    def key(self) -> tuple[str, str, str, int]:
        """What was run."""
        return self.protocol, self.recipe, self.digest, self.seed

    @property
    def says_whether_it_held(self) -> bool:
        """Whether it was held, or never came so far."""
        return self.hold is not None or self.reached[-1] is None

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "levels": LEVELS}

    @classmethod
    def of(cls, record: dict[str, Any]) -> Outcome:
        values = dict(record)
        try:
            values["reached"] = tuple(point and Point(**point) for point in values["reached"])
            values["hold"] = values["hold"] and Hold(**values["hold"])
            return cls(**{field.name: values[field.name] for field in fields(cls)})
        except (KeyError, TypeError) as error:
            raise UserError(f"a record is not of a race ({error}); give a file of benchmarks.grokking --out") from None


def digest_of(recipe: RecipeParams) -> str:
    """Eight hexadecimal digits that change with any value of a recipe."""
    return hashlib.sha256(json.dumps(recipe.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:8]


def latest(outcomes: Iterable[Outcome]) -> list[Outcome]:
    """One outcome of each run, the last, in the order of first appearance."""
    return list({outcome.key: outcome for outcome in outcomes}.values())


def first_reaching(history: Sequence[Point], level: float) -> Point | None:
    """The first evaluation at which the test accuracy is at least `level`; None where it never is."""
    return next((point for point in history if point.test_accuracy >= level), None)


def held(history: Sequence[Point]) -> Hold | None:
    """What came after the first evaluation at 100%; None where there was none."""
    start = first_reaching(history, 1.0)
    if start is None:
        return None
    after = [point for point in history if point.step >= start.step]
    return Hold(start.step, after[-1].step, min(point.test_accuracy for point in after), after[-1].test_accuracy)


def spread(values: Sequence[float | None], digits: int = 0) -> str:
    """Median (least..greatest) over all seeds, a failure counted as infinitely far and printed as `never`."""
    ordered = sorted(math.inf if value is None else value for value in values)
    texts = ["never" if value == math.inf else f"{value:,.{digits}f}" for value in (ordered[0], ordered[-1])]
    middle = median(ordered)
    shown = "never" if middle == math.inf else f"{middle:,.{digits}f}" if digits else f"{middle:,.6g}"
    return shown if ordered[0] == math.inf else f"{shown} ({texts[0]}..{texts[1]})"


def hold_cell(outcomes: Sequence[Outcome]) -> str:
    """How many seeds still were at 100% at the end of their hold, and the lowest accuracy on the way.

    Of all that were to hold it: a run that never reached 100% is among them. `-` where none was to.
    """
    asked = [outcome for outcome in outcomes if outcome.says_whether_it_held]
    holds = [outcome.hold for outcome in asked if outcome.hold is not None]
    if not holds:
        return f"0/{len(asked)}" if len(asked) == len(outcomes) else "-"
    still = sum(hold.kept for hold in holds)
    return f"{still}/{len(asked)} (lowest {math.floor(min(hold.lowest for hold in holds) * 1e4) / 1e4:.2%})"


def tables(outcomes: Sequence[Outcome]) -> str:
    """One table a protocol, in the order of appearance."""
    by_protocol: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        by_protocol.setdefault(outcome.protocol, []).append(outcome)
    return "\n\n".join(f"{protocol}\n\n{table(own)}" for protocol, own in by_protocol.items())


def table(outcomes: Sequence[Outcome]) -> str:
    """One block a quantity, one row a recipe; recipes of one name and different values are told apart."""
    by_recipe: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        by_recipe.setdefault((outcome.recipe, outcome.digest), []).append(outcome)
    names = [name for name, _ in by_recipe]
    blocks: list[str] = []
    for quantity, (title, unit, digits) in UNITS.items():
        rows = [["recipe", *(f"{title} to {level:.0%}" for level in LEVELS)]]
        if quantity == "step":
            rows[0] += ["at 100%", "held", "seeds"]
        for (name, digest), own in by_recipe.items():
            reached = [[point and getattr(point, quantity) / unit for point in points] for points in by_level(own)]
            cells = [name if names.count(name) == 1 else f"{name} {digest}"]
            cells += [spread(values, digits) for values in reached]
            if quantity == "step":
                seeds = [outcome.seed for outcome in own]
                cells += [f"{sum(o.reached[-1] is not None for o in own)}/{len(own)}", hold_cell(own)]
                cells += [f"{min(seeds)}..{max(seeds)}"]
            rows.append(cells)
        blocks.append(aligned(rows))
    return "\n\n".join(blocks)


def by_level(outcomes: Sequence[Outcome]) -> list[tuple[Point | None, ...]]:
    """For each of LEVELS, where each run reached it."""
    return list(zip(*(outcome.reached for outcome in outcomes), strict=True))


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Columns padded to their widest cell."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)
