"""How far the embedded rows can move before an integer student's answer changes: `python -m benchmarks.robust`.

Every input on which a student is right gets a proved lower and an attacked upper bound; the attacks are replayed in
exact rationals, and a lower bound at or above its upper bound stops the command. Two kinds of perturbation: every entry
by at most r, and coefficients of at most r along the directions of the tables' own strongest frequencies.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.command_line import Parser
from pipeline.errors import reported
from verify.coupled import LEAF, CoupledRadius, coupled_radius
from verify.exact_net import ExactNet, load_exact_net
from verify.robust import BITS, RobustReport, robustness, table_rms
from verify.subspace import fourier_subspace

NETS = ("compressed/modular-catapult/student.safetensors", "compressed/modular-standard/student.safetensors")
OPEN = 0.01
QUANTILES = (0.0, 0.1, 0.5, 0.9, 1.0)


@dataclass(frozen=True, eq=False)
class Measured:
    """One net: the report on entries, and the radius along shared directions of the right pairs of its domain."""

    name: str
    net: ExactNet
    report: RobustReport
    shared: dict[tuple[int, int], CoupledRadius]


def measure(path: Path, sample: int, seconds: float) -> Measured:
    """Prints as it goes; `sample` right inputs are also given to Z3 with a tree of one box, for what it costs."""
    net, name, began = load_exact_net(path), path.parent.name, time.process_time()
    report = robustness(net)
    right = [(a, b) for a, b in net.domain if report.steps[a, b] >= 0]
    attacked = [pair for pair in right if report.at(*pair).upper is not None]
    for a, b in attacked:
        attack = report.attack(a, b)
        if attack.got == (a + net.sign * b) % net.p or attack.size != report.at(a, b).upper:
            raise AssertionError(f"a, b = {a}, {b}: the attack does not replay")
    took = time.process_time() - began
    print(f"{name}: {report.verdict}, {len(attacked)} attacks replayed, {took:.1f} s")
    began, space = time.process_time(), fourier_subspace(net, net.offset.size // 2)
    shared = {(a, b): coupled_radius(net, space, a, b, 0) for a, b in right}
    took, open_pairs = time.process_time() - began, [pair for pair, found in shared.items() if _gap(found) > OPEN]
    print(f"{name}: {len(shared)} pairs along shared directions in {took:.1f} s, {_trees(shared.values())}")
    for pair in open_pairs:
        shared[pair] = coupled_radius(net, space, *pair, seconds)
    for (a, b), found in shared.items():
        if found.attack is not None and found.attack.got == (a + net.sign * b) % net.p:
            raise AssertionError(f"a, b = {a}, {b}: the attack along shared directions does not replay")
    left, gap = sum(_gap(shared[pair]) > OPEN for pair in open_pairs), max(map(_gap, shared.values()))
    print(
        f"{name}: {sum(found.attack is not None for found in shared.values())} attacks replayed; on {len(open_pairs)} "
        f"pairs the proved radius was over {OPEN:.0%} below the attacked one, after Z3 on {left}, by at most {gap:.2%}"
    )
    for i in np.random.default_rng(0).permutation(len(right))[:sample].tolist():
        a, b = right[i]
        began = time.monotonic()
        asked, tree = coupled_radius(net, space, a, b, seconds, leaves=1), shared[a, b]
        print(
            f"{name} a, b = {a}, {b}: one box {float(asked.by_tree):.4f}, with Z3 {float(asked.radius.lower):.4f} "
            f"({asked.radius.how}, {time.monotonic() - began:.1f} s), with a tree {float(tree.by_tree):.4f}, attacked "
            f"{_upper(tree):.4f}"
        )
    return Measured(name, net, report, shared)


def table(nets: Sequence[Measured]) -> list[str]:
    """Markdown: quantiles over the right pairs of the domain, in stored integers, proved rounded down, attacked up."""
    lines = ["| net | pairs | perturbation | bound | " + " | ".join(_title(q) for q in QUANTILES) + " | median / rms |"]
    lines.append("|" + "---|" * (len(QUANTILES) + 5))
    for one in nets:
        entries = np.array([one.report.steps[pair] for pair in one.shared]) / (1 << BITS)
        found = list(one.shared.values())
        rows = {
            "every entry | exact, to 2^-20": entries,
            "shared directions | proved, interval bounds": np.array([float(f.separable) for f in found]),
            "shared directions | proved, tree or Z3": np.array([float(f.radius.lower) for f in found]),
            "shared directions | attacked": np.array([_upper(f) for f in found]),
        }
        for kind, values in rows.items():
            outward = np.ceil if kind.endswith("attacked") else np.floor
            places = np.quantile(values, QUANTILES, method="inverted_cdf")
            cells = [f"{v:.4f}" for v in outward(places * 10**4) / 10**4]
            share = np.median(values) / table_rms(one.net)
            lines.append(f"| {one.name} | {len(values)} | {kind} | {' | '.join(cells)} | {share:.4f} |")
    return lines


def paired(first: Measured, second: Measured) -> str:
    """On the pairs on which both are right: how much larger the first one's radius over its rms is."""
    both = sorted(first.shared.keys() & second.shared.keys())
    scale = table_rms(second.net) / table_rms(first.net)
    by_entry = [scale * first.report.steps[pair] / max(1, second.report.steps[pair]) for pair in both]
    shared = [scale * float(first.shared[pair].radius.lower) / _upper(second.shared[pair]) for pair in both]
    lines = []
    for kind, values in (("every entry", by_entry), ("shared directions, proved over attacked", shared)):
        lines.append(f"{kind}: median {np.median(values):.1f}, larger on {sum(v > 1 for v in values)}")
    title = f"{first.name} over {second.name}, {len(both)} pairs on which both are right, radii over rms"
    return f"{title}: {'; '.join(lines)}"


def _gap(found: CoupledRadius) -> float:
    """How far the proved radius is below the attacked one, over the latter; 1 where there was no attack."""
    return 1 - float(found.radius.lower) / _upper(found) if found.radius.upper else 1.0


def _trees(found: Iterable[CoupledRadius]) -> str:
    boxes = [one.tree.count(LEAF) if one.tree else 0 for one in found]
    return f"trees of {min(boxes)} to {max(boxes)} boxes, median {np.median(boxes):.0f} (0: intervals do as well)"


def _upper(found: CoupledRadius) -> float:
    return float("nan") if found.radius.upper is None else float(found.radius.upper)


def _title(q: float) -> str:
    return {0.0: "smallest", 0.5: "median", 1.0: "largest"}.get(q, f"{q:.0%}")


def main() -> int:
    parser = Parser(prog="python -m benchmarks.robust", description=__doc__)
    parser.add_argument("--nets", nargs="+", type=Path, default=[Path(net) for net in NETS])
    parser.add_argument("--sample", type=int, default=3, help="inputs of each net for which Z3 is asked too")
    parser.add_argument(
        "--seconds", type=float, default=20, help="for Z3, on each of them and of those that are left open"
    )
    options = parser.parse_args()
    nets = [measure(path, options.sample, options.seconds) for path in options.nets]
    print("\n".join(table(nets)))
    for one in nets:
        print(f"{one.name}: rms of the centred tables {table_rms(one.net):.2f}, right on {one.report.right} inputs")
    for other in nets[1:]:
        print(paired(nets[0], other))
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.robust", main))
