"""What benchmarks.radial measures of a run, and the verdicts on the three predictions.

A comparison is a ratio: a seed's value with the penalty over its value without. The table gives the geometric mean over
the seeds, with a 95% interval by bootstrap (10,000 resamples of the seeds, percentiles expanded for so few, as in
Hesterberg 2015), and how many seeds lie on the predicted side. A prediction is `confirmed` where the whole interval is,
`opposite` where the whole interval is on the other side, else `not confirmed`; with fewer than 6 pairs, which a coin
could all put on one side, nothing is. There is no correction for the number of comparisons. A level is the mean of a
value of the penalised runs alone, held against a bound. `norms` has no penalty: its ratio to `none` tests nothing and
has no verdict.

A likely reason for what comes of (2): where training settles, the cross-entropy pulls against the penalty, whose
gradient in h is all radial. A penalty that is at work leaves the gradient of the cross-entropy more radial, not less;
the penalty to sqrt(width) does so least, where the activations have about that length of themselves.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import cleandoc
from statistics import NormalDist, median
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

RESAMPLES = 10_000
ENOUGH = 6
"""Pairs below which nothing is confirmed: six on one side of six have p = .03 in a two-sided sign test."""
Key = tuple[str, str, str, str, int]
"""Protocol, recipe, arm, digest of the recipe with the arm's penalty, and seed of a run."""


@dataclass(frozen=True)
class Moment:
    """A net at one moment; losses in nats, at temperature 1, over the training set. None: does not exist there.

    length                   mean |h|
    row_share                sum_i (g_i . h_i)^2 / |h_i|^2 over sum_i |g_i|^2, g_i the cross-entropy's gradient in h_i
    weight_share             the same for the weights, each tensor one vector
    ..._descended            with the gradient of all that is descended, penalty included
    alignment                tr(W S W^T) / (|W|^2 tr(S) / d), W the last hidden matrix, S its inputs' second moment
    penalty_along            share of the energy of the penalty's gradient in W that lies along W
    rate_correlation         rank correlation of eigenvalue and the penalty's rate of decay of |W v|, v S's eigenvectors
    inverse_temperature      scale of the logits at which the loss is .1 nats
    noise_rise               mean rise of the loss under weight noise of .1 times each tensor's RMS
    noise_rise_equal_loss    the same of the scaled logits
    top_eigenvalue           greatest eigenvalue of the Hessian of the loss
    top_relative_equal_loss  the same with the scaled logits, and each tensor in units of its RMS
    """

    step: int
    train_loss: float
    train_accuracy: float
    test_accuracy: float
    length: float
    row_share: float
    row_share_descended: float
    weight_share: float
    weight_share_descended: float
    alignment: float
    penalty_along: float | None
    rate_correlation: float | None
    inverse_temperature: float | None
    noise_rise: float
    noise_rise_equal_loss: float | None
    top_eigenvalue: float | None
    top_relative_equal_loss: float | None


@dataclass(frozen=True)
class Run:
    """One arm on one seed: shares averaged over training, and the moments. `fit` is None where it never fitted."""

    protocol: str
    recipe: str
    arm: str
    digest: str
    seed: int
    width: int
    row_share: float
    row_share_descended: float
    weight_share: float
    weight_share_descended: float
    fit: Moment | None
    end: Moment

    @property
    def key(self) -> Key:
        return self.protocol, self.recipe, self.arm, self.digest, self.seed

    @classmethod
    def of(cls, record: dict[str, Any]) -> Run:
        """From what `asdict` gave."""
        fit = None if record["fit"] is None else Moment(**record["fit"])
        return cls(**{**record, "fit": fit, "end": Moment(**record["end"])})


When = Literal["training", "fit", "end"]


@dataclass(frozen=True)
class Statistic:
    """A number of a run. `main` ones decide the prediction; the others say how it depends on the way it is asked."""

    prediction: int
    text: str
    name: str
    when: When
    main: bool = False

    def of(self, run: Run) -> float | None:
        """The positive value that enters a ratio, or None."""
        value = value_of(run, self.name, self.when)
        return value if value is not None and value > 0 else None

    def __str__(self) -> str:
        return (
            f"{'**' if self.main else ''}({self.prediction}) {self.text}, {WHEN[self.when]}{'**' if self.main else ''}"
        )


@dataclass(frozen=True)
class Level:
    """A number of the penalised runs alone, predicted `above` its bound or below it."""

    prediction: int
    text: str
    value: Callable[[Run], float | None]
    bound: float
    above: bool

    def __str__(self) -> str:
        return f"({self.prediction}) {self.text}"


WHEN: dict[When, str] = {"training": "mean over training", "fit": "when fitted", "end": "at the end"}
RATIOS = (
    Statistic(1, "alignment of W with its inputs", "alignment", "end", main=True),
    Statistic(1, "alignment of W with its inputs", "alignment", "fit"),
    Statistic(2, "radial share of the CE gradient in h", "row_share", "training", main=True),
    Statistic(2, "radial share of the CE gradient in h", "row_share", "fit"),
    Statistic(2, "radial share of the CE gradient in h", "row_share", "end"),
    Statistic(2, "radial share of the whole gradient in h", "row_share_descended", "training"),
    Statistic(2, "radial share of the CE gradient in the weights", "weight_share", "training"),
    Statistic(2, "radial share of the CE gradient in the weights", "weight_share", "fit"),
    Statistic(2, "radial share of the CE gradient in the weights", "weight_share", "end"),
    Statistic(2, "radial share of the whole gradient in the weights", "weight_share_descended", "training"),
    Statistic(3, "top eigenvalue of the Hessian", "top_eigenvalue", "end", main=True),
    Statistic(3, "rise under relative noise, at equal loss", "noise_rise_equal_loss", "end", main=True),
    Statistic(3, "relative top eigenvalue, at equal loss", "top_relative_equal_loss", "end"),
    Statistic(3, "rise under relative noise", "noise_rise", "end"),
    Statistic(3, "rise under relative noise, at equal loss", "noise_rise_equal_loss", "fit"),
    Statistic(3, "rise under relative noise", "noise_rise", "fit"),
)
"""Predicted: below 1."""

LEVELS = (
    Level(
        1, "rank correlation of decay rate and input variance, at the end", lambda r: r.end.rate_correlation, 0, True
    ),
    Level(1, "share of the penalty's gradient along W, at the end", lambda r: r.end.penalty_along, 0.5, False),
    Level(2, "CE radial share in h times width, mean over training", lambda r: r.row_share * r.width, 1, False),
    Level(2, "whole radial share in h times width, mean", lambda r: r.row_share_descended * r.width, 1, False),
)
"""Weight decay has correlation none and share 1; an isotropic gradient has share times width 1."""


def value_of(run: Run, name: str, when: When) -> float | None:
    """A field of the run or of one of its moments; None where the moment or the value does not exist."""
    source = {"training": run, "fit": run.fit, "end": run.end}[when]
    return None if source is None else getattr(source, name)


@dataclass(frozen=True)
class Estimate:
    """A mean over `n` seeds, its interval, and how many seeds lie on the predicted side of the bound."""

    mean: float
    low: float
    high: float
    n: int
    agreeing: int
    bound: float
    above: bool

    @property
    def verdict(self) -> str:
        below, over = self.high < self.bound, self.low > self.bound
        if self.n < ENOUGH or not (below or over):
            return "not confirmed"
        return "confirmed" if over == self.above else "opposite"

    def __str__(self) -> str:
        return f"{self.mean:.3g} [{self.low:.3g}, {self.high:.3g}] {self.agreeing}/{self.n}"


def students_quantile(degrees: int) -> float:
    """The 97.5th percentile of Student's t, by the first terms of its expansion about the normal one's."""
    z = NormalDist().inv_cdf(0.975)
    first, second = (z**3 + z) / 4, (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3


def bootstrap(values: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """95% interval of the mean: the percentiles Phi(-+t sqrt(n / (n - 1))) of the means of resamples, t Student's."""
    n = len(values)
    if n == 1:
        return float(values[0]), float(values[0])
    share = NormalDist().cdf(-students_quantile(n - 1) * (n / (n - 1)) ** 0.5)
    drawn = np.random.default_rng(0).integers(0, n, (RESAMPLES, n))
    low, high = np.quantile(values[drawn].mean(1), [share, 1 - share])
    return float(low), float(high)


def compare(statistic: Statistic, runs: Sequence[Run], others: Sequence[Run]) -> Estimate | None:
    """Geometric mean of `runs` over `others`, seed by seed; None where no seed has both."""
    second = {run.seed: statistic.of(run) for run in others}
    paired = [(statistic.of(run), second.get(run.seed)) for run in runs]
    logs = np.log([x / y for x, y in paired if x is not None and y is not None])
    if not len(logs):
        return None
    low, high = np.exp(bootstrap(logs))
    return Estimate(float(np.exp(logs.mean())), low, high, len(logs), int((logs < 0).sum()), 1, above=False)


def estimate(level: Level, runs: Sequence[Run]) -> Estimate | None:
    """The mean of a level; None where no run has it."""
    values = np.array([value for run in runs if (value := level.value(run)) is not None])
    if not len(values):
        return None
    agreeing = (values > level.bound) if level.above else (values < level.bound)
    low, high = bootstrap(values)
    return Estimate(float(values.mean()), low, high, len(values), int(agreeing.sum()), level.bound, level.above)


def row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def cell(estimate: Estimate | None, judged: bool = True) -> str:
    """`judged`: with the verdict."""
    return "-" if estimate is None else f"{estimate} {estimate.verdict}" if judged else str(estimate)


def comparisons(arms: Sequence[str]) -> list[tuple[str, str]]:
    """Every arm against none, and where there is one with imposed lengths, the penalty against that."""
    pairs = [(arm, "none") for arm in arms if arm not in ("none", "norms")]
    return pairs + ([("zero", "norms"), ("norms", "none")] if "norms" in arms else [])


def arm_row(name: str, runs: Sequence[Run]) -> str:
    """What became of an arm: medians over the seeds."""
    fitted = [run.fit.step for run in runs if run.fit is not None]
    return row(
        [
            name,
            f"{median(fitted):g} ({len(fitted)}/{len(runs)})" if fitted else f"never (0/{len(runs)})",
            *(
                f"{median(getattr(run.end, field) for run in runs):.3g}"
                for field in ("train_loss", "test_accuracy", "length", "top_eigenvalue")
            ),
            f"{median(run.row_share * run.width for run in runs):.3g}",
        ]
    )


ARM_COLUMNS = (
    "arm",
    "fitted at step",
    "train loss",
    "test accuracy",
    "mean length of h",
    "top eigenvalue",
    "CE share x d",
)


def pairing_section(arms: Mapping[str, Sequence[Run]]) -> list[str]:
    """The tables of one recipe of one protocol."""
    lines = [row(ARM_COLUMNS), row(["---"] * len(ARM_COLUMNS)), *(arm_row(name, own) for name, own in arms.items()), ""]
    pairs = comparisons(list(arms))
    lines += [row(["ratio", *(f"{a} / {b}" for a, b in pairs)]), row(["---"] * (len(pairs) + 1))]
    lines += [row([str(s), *(cell(compare(s, arms[a], arms[b]), a != "norms") for a, b in pairs)]) for s in RATIOS]
    penalised = [name for name in arms if name not in ("none", "norms")]
    lines += ["", row(["level", "predicted", *penalised]), row(["---"] * (len(penalised) + 2))]
    for level in LEVELS:
        asked = f"{'above' if level.above else 'below'} {level.bound:g}"
        lines.append(row([str(level), asked, *(cell(estimate(level, arms[name])) for name in penalised)]))
    return lines


def tally(statistic: Statistic, estimates: Sequence[Estimate | None]) -> str:
    """In how many comparisons the prediction came out which way."""
    verdicts = [estimate.verdict if estimate else "not measured" for estimate in estimates]
    return f"- {statistic}: " + ", ".join(f"{n} {verdict}" for verdict, n in Counter(verdicts).most_common())


def page(runs: Sequence[Run]) -> str:
    """The verdicts that decide each prediction, then everything, recipe by recipe."""
    groups: dict[tuple[str, str], dict[str, list[Run]]] = {}
    for run in runs:
        groups.setdefault((run.protocol, run.recipe), {}).setdefault(run.arm, []).append(run)
    deciding = [statistic for statistic in RATIOS if statistic.main]
    rows: list[str] = []
    against_none: list[list[Estimate | None]] = []
    for (protocol, recipe), arms in groups.items():
        for a, b in comparisons(list(arms)):
            if a != "norms":
                estimates = [compare(statistic, arms[a], arms[b]) for statistic in deciding]
                rows.append(row([f"{protocol} {recipe}: {a} / {b}", *map(cell, estimates)]))
                against_none += [estimates] if b == "none" else []
    lines = ["# Radial suppression: three predictions", "", (__doc__ or "").split("\n", 2)[2].strip(), ""]
    lines += [f"Of {len(against_none)} penalised recipes against the same without the penalty:", ""]
    lines += [tally(statistic, [each[i] for each in against_none]) for i, statistic in enumerate(deciding)]
    lines += ["", row(["with / without", *(str(s).strip("*") for s in deciding)])]
    lines += [row(["---"] * (len(deciding) + 1)), *rows]
    for (protocol, recipe), arms in groups.items():
        steps = next(iter(arms.values()))[0].end.step
        lines += ["", f"## {protocol}, {recipe}, {steps} steps", "", *pairing_section(arms)]
    return "\n".join([*lines, "", "## What is measured", "", "```", cleandoc(Moment.__doc__ or ""), "```"])
