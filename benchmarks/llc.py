"""python -m benchmarks.llc [RUN ...]: the learning coefficient against closed forms, and along runs.

First the estimates for models whose coefficient is known, with its standard error over the chains. Then, for every run
that is given, the estimate at its snapshots (`--every`), with the CPU time of one, and how the estimate of the last one
depends on the step, the pull, the length of the chains and the batch: an estimate that depends on the pull is one at
that pull only.
"""

from __future__ import annotations

import math
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from interp.llc import LearningCoefficient, Sampler, learning_coefficient, quadratic_coefficient, sampled
from pipeline.command_line import Parser
from pipeline.errors import reported
from pipeline.nets import Net, Quadratic, QuadraticConfig
from pipeline.runs import Run, load_snapshot
from pipeline.tasks import ModularTask

N = 10**6
HEAT = N / math.log(N)
CHANGES: tuple[dict[str, Any], ...] = (
    {"step": 1e-5, "burn_in": 240, "draws": 120},
    {"burn_in": 240},
    {"batch": 1024},
    {"seed": 10},
    {"pull": 3000.0},
    {"pull": 300.0, "burn_in": 240},
)


def zeros(*shape: int) -> Tensor:
    return torch.zeros(*shape, dtype=torch.float64, requires_grad=True)


def regular(d: int) -> LearningCoefficient:
    """L = |w|^2 / 2 in d dimensions: d / 2."""
    sampler = Sampler(step=0.05 / HEAT, pull=0, chains=4, burn_in=400, draws=800)
    return sampled(lambda w, _: w[0].square().sum() / 2, [zeros(d)], 0.0, N, sampler)


def quartic(d: int) -> LearningCoefficient:
    """L = sum_i w_i^4: d / 4."""
    sampler = Sampler(step=0.005 / math.sqrt(HEAT), pull=0, chains=4, burn_in=1000, draws=1000)
    return sampled(lambda w, _: w[0].pow(4).sum(), [zeros(d)], 0.0, N, sampler)


def quadratic(p: int, width: int, seed: int = 1) -> LearningCoefficient:
    """A quadratic net of normal weights, for the mean squared error to its own logits."""
    torch.manual_seed(seed)
    net = Quadratic(QuadraticConfig(p, p, p, width)).double()
    with torch.no_grad():
        for weight in net.parameters():
            weight.normal_()
    pairs = torch.from_numpy(ModularTask(p).pairs())
    target = net(pairs).detach()
    sampler = Sampler(step=0.1 / (HEAT * greatest_curvature(net, pairs)), pull=0, chains=4, burn_in=2000, draws=3000)
    error = lambda *_: (net(pairs) - target).square().sum(1).mean() / 2  # noqa: E731
    return sampled(error, list(net.parameters()), 0.0, N, sampler)


def greatest_curvature(net: Net, pairs: Tensor) -> float:
    """Of half the mean squared error: the greatest eigenvalue of J^T J / pairs, J the Jacobian of the logits."""
    names, weights = zip(*net.named_parameters(), strict=True)

    def logits(*values: Tensor) -> Tensor:
        return torch.func.functional_call(net, dict(zip(names, values, strict=True)), (pairs,)).flatten()

    parts = torch.autograd.functional.jacobian(logits, weights)
    return float(torch.linalg.matrix_norm(torch.cat([part.flatten(1) for part in parts], 1), 2) ** 2 / len(pairs))


def closed_forms() -> None:
    print("| model | parameters | known | estimate |\n|---|---|---|---|")
    rows = [("|w|^2 / 2", 20, 10.0, regular(20)), ("sum w^4", 400, 100.0, quartic(400))]
    for p, width in ((3, 2), (5, 2), (3, 24)):
        known = quadratic_coefficient(p, width)
        rows.append((f"quadratic net, p = {p}, {width} units", 3 * p * width, known, quadratic(p, width)))
    for name, size, known, found in rows:
        print(f"| {name} | {size} | {known:g} | {found.value:.2f} +- {found.error:.2f} |")


def estimate(path: Path, sampler: Sampler) -> tuple[LearningCoefficient, float]:
    """The estimate for one snapshot on its training pairs, and the CPU seconds it took."""
    snapshot = load_snapshot(path, Net)
    train = torch.from_numpy(snapshot.split()[0])
    pairs, answers = (torch.from_numpy(a)[train] for a in (snapshot.modular.pairs(), snapshot.modular.answers()))
    start = time.process_time()
    return learning_coefficient(snapshot.net, pairs, answers, sampler), time.process_time() - start


def along(run: Run, every: int) -> None:
    sampler = Sampler()
    print(f"\n{run.key}: {sampler}\n\n| snapshot | estimate | CPU s |\n|---|---|---|")
    for path in run.snapshots[::every]:
        found, seconds = estimate(path, sampler)
        print(f"| {path.stem} | {found.value:.1f} +- {found.error:.1f} | {seconds:.1f} |", flush=True)
    print("\n| last snapshot with | estimate |\n|---|---|")
    for change in CHANGES:
        found, _ = estimate(run.snapshots[-1], replace(sampler, **change))
        name = ", ".join(f"{key} = {value:g}" for key, value in change.items())
        print(f"| {name} | {found.value:.1f} +- {found.error:.1f} |", flush=True)


def main(arguments: list[str] | None = None) -> int:
    options = Parser(prog="python -m benchmarks.llc", description=__doc__)
    options.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="run directories")
    options.add_argument("--every", type=int, default=4, help="take every n-th snapshot (default: 4)")
    given = options.parse_args(arguments)
    runs = [Run.open(path) for path in given.runs]
    closed_forms()
    for run in runs:
        along(run, given.every)
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.llc", main))
