"""python -m benchmarks.peak: what share of the machine's matrix-product peak a training step reaches, and the rest.

The peak is the best rate of a float32 product of two square matrices, a second of CPU time. The work is that of the
step's matrix products, counted by torch.utils.flop_counter (2 m k n for an m x k by k x n product), Muon's
among them. The share is work / (CPU time x peak). Where the time goes is self CPU time by torch.profiler, by kind
of operator. CPU time adds up over threads; run it with one, where waiting threads do not count as work.

    recipe        as it is
    bfloat16      the same with train.matmul_precision = medium: products in bfloat16 where the processor can, and under
                  CATAPULT_KERNELS=native, as this benchmark is to be run

  python -m benchmarks.peak --protocols P2 --recipes standard,muon_radial
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from statistics import median

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.protocols import PROTOCOLS, Protocol, choose
from benchmarks.timing import take_turns
from pipeline.command_line import Parser
from pipeline.errors import UserError, reported
from pipeline.nets import build_net
from pipeline.recipe_params import RecipeParams
from train.data import Batches, Data
from train.environment import prepare
from train.recipes import initialise
from train.step import Trainer

KINDS: dict[str, tuple[str, ...]] = {
    "products": ("mm", "addmm", "bmm", "baddbmm", "linear", "mkldnn"),
    "loss": ("softplus", "logsumexp", "exp", "log", "amax", "argmax", "eq"),
    "activations": ("gelu", "relu", "threshold", "clamp_min", "softmax", "layer_norm"),
    "look-up": ("embedding", "index", "gather", "scatter", "put", "select_backward"),
    "memory": ("copy_", "fill_", "zero_", "empty", "clone", "cat", "to"),
    "optimiser": ("Optimizer", "foreach", "lerp", "addcdiv", "addcmul", "sqrt"),
    "arithmetic": ("add", "mul", "div", "sub", "sum", "pow", "where", "square", "mean", "linalg_vector_norm", "neg"),
}
"""Kinds of operators by how their names begin; the rest is `other`. The first that fits counts."""


def peak_rate(seconds: float = 0.5) -> float:
    """Floating-point operations a second of CPU time of the best square product, sides 512 to 2048."""
    best = 0.0
    for side in (512, 1024, 2048):
        a, b = torch.randn(side, side), torch.randn(side, side)
        end = time.process_time() + seconds
        while time.process_time() < end:
            start = time.process_time()
            torch.mm(a, b)
            best = max(best, 2 * side**3 / (time.process_time() - start))
    return best


def work_of(step: Callable[[], object]) -> int:
    """Floating-point operations in the matrix products of one call."""
    with FlopCounterMode(display=False) as counter:
        step()
    return counter.get_total_flops()


def kind_of(operator: str) -> str:
    """The kind of an operator of the profiler, such as aten::mm."""
    name = operator.removeprefix("aten::").removeprefix("native_").lstrip("_")
    return next((kind for kind, names in KINDS.items() if name.startswith(names)), "other")


def times_by_kind(step: Callable[[], object], repeats: int) -> dict[str, float]:
    """Share of self CPU time by kind of operator, greatest first; the rest between operators is Python."""
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(repeats):
            step()
    totals: dict[str, float] = {}
    for event in profiler.key_averages():
        kind = kind_of(event.key)
        totals[kind] = totals.get(kind, 0.0) + event.self_cpu_time_total
    whole = sum(totals.values())
    return {kind: total / whole for kind, total in sorted(totals.items(), key=lambda item: -item[1])}


def step_of(protocol: Protocol, recipe: RecipeParams, matmul: str) -> Callable[[], object]:
    """A training step of the race, on seed 0."""
    net = build_net(protocol.net)
    initialise(net, recipe.init, torch.Generator().manual_seed(0))
    trainer = Trainer(net, recipe, 0, matmul)
    batches = Batches(Data.of_pairs(protocol.task, protocol.fraction, 0), protocol.batch, 0)
    return lambda: trainer.step(batches.next(), 1.0)


def report(protocol: Protocol, name: str, recipe: RecipeParams, peak: float, repeats: int) -> str:
    """One row: milliseconds as it is and in bfloat16, work, shares."""
    plain, fast = (step_of(protocol, recipe, matmul) for matmul in ("highest", "medium"))
    work = work_of(plain)
    costs = take_turns({"plain": plain, "fast": fast}, repeats, lambda: None)
    seconds, faster = (median(cost.cpu for cost in costs[variant]) for variant in ("plain", "fast"))
    shares = ", ".join(f"{kind} {share:.0%}" for kind, share in times_by_kind(plain, repeats).items())
    cells = [f"{1e3 * seconds:.1f}", f"{work / 1e9:.2f}", f"{work / seconds / peak:.0%}", f"{seconds / faster:.2f}"]
    return f"| {protocol.name} {name} | {' | '.join(cells)} | {shares} |"


HEADER = """\
| step | CPU ms, median | Gflop in products | share of peak | times faster in bfloat16 | where the CPU time goes |
|---|---|---|---|---|---|"""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = Parser(prog="python -m benchmarks.peak", description=__doc__)
    parser.add_argument("--protocols", nargs="+", choices=PROTOCOLS, default=list(PROTOCOLS), help="default: all")
    parser.add_argument("--recipes", default="standard,muon_radial", help="names separated by commas, or all")
    parser.add_argument("--repeats", type=int, default=15, help="timed steps of each (default: 15)")
    options = parser.parse_args(arguments)
    if options.repeats < 1:
        raise UserError(f"--repeats = {options.repeats}: give a whole number, 1 or more")
    prepare()
    peak = peak_rate()
    print(f"peak {peak / 1e9:.0f} Gflop/s, {torch.get_num_threads()} thread(s), torch {torch.__version__}\n\n{HEADER}")
    for name in options.protocols:
        protocol = PROTOCOLS[name]
        for recipe, chosen in choose(protocol.recipes(), options.recipes).items():
            print(report(protocol, recipe, chosen, peak, options.repeats), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.peak", main))
