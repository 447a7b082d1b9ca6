"""python -m benchmarks.algorithms [RUN ...] [--hand-built] [--train SEED ...]: which algorithm is it?

First a row a net: measures and label of each run's last snapshot (with `--all`, of every one), of the nets built by
hand, and of nets trained here. `symmetricity`, `irrelevance` (of the correct logit, and of the runner-up's),
`circularity`: Zhong et al. 2023; `circles`: how many frequencies hold 90% of the embeddings' power; `clock` and
`pizza`: explained variance of the formulas, one circle at a time; `clock share`: of the whole logits; `wave fit`: share
of the first neurons' variance in single waves, and `excess` of it over chance; `few circles`: accuracy when
only the strongest few circles keep their symbol. Then a row a group: how many nets got which label, and how surely.

Nets are labelled as those of others are: all pairs count as trained on, and random labels are not told.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from interp.algorithms import ALGORITHMS, AlgorithmLabel, name_algorithm
from interp.hand_built import clock, lookup, pizza
from pipeline.command_line import Parser
from pipeline.errors import reported
from pipeline.nets import DeepTransformerConfig, MlpConfig, Net, NetConfig, build_net
from pipeline.runs import Run, load_snapshot
from pipeline.tasks import ModularTask

COLUMNS = (
    "accuracy", "symmetricity", "irrelevance", "runner-up", "circularity", "circles", "clock", "pizza", "clock share",
    "wave fit", "excess", "few circles", "CPU s", "label",
)  # fmt: skip
P, P_MLP = 31, 59


@dataclass(frozen=True)
class Named:
    """One net to label. `train`: the pairs it was trained on, None where that is not known."""

    group: str
    name: str
    net: Net
    task: ModularTask
    train: torch.Tensor | None = None


@dataclass(frozen=True)
class Group:
    """Nets trained by AdamW (lr .002, betas .9 and .98) on a share of the pairs; after 0 steps they are untrained."""

    name: str
    config: NetConfig
    steps: int
    fraction: float = 0.8
    weight_decay: float = 2.0
    random_labels: bool = False


def transformer(n_layers: int, share: float) -> DeepTransformerConfig:
    """As those of Zhong et al. 2023, of half their width."""
    shape = {"d_model": 64, "n_heads": 4, "d_head": 16, "d_mlp": 256, "activation": "relu", "pre_norm": False}
    bare = {"operator": False, "attention_bias": False, "equals": False, "causal": False}
    return DeepTransformerConfig(P, P, P, n_layers, softmax_share=share, **shape, **bare)  # type: ignore[arg-type]


def mlp(depth: int, concatenate: bool = False) -> MlpConfig:
    combine = "concatenate" if concatenate else "sum"
    return MlpConfig(P_MLP, P_MLP, P_MLP, 64 if concatenate else 128, (128,) * depth, "relu", combine, True)


KINDS: tuple[tuple[str, NetConfig], ...] = (
    ("transformer", transformer(1, 1.0)),
    ("transformer, 2 layers", transformer(2, 1.0)),
    ("MLP", mlp(1)),
    ("MLP, side by side", mlp(1, True)),
    ("MLP, 2 layers", mlp(2)),
)
GROUPS = (
    *[Group(f"{name}, untrained", config, 0) for name, config in KINDS],
    *[Group(f"{name}, 30% by heart", config, 500, 0.3, 0.0) for name, config in KINDS],
    *[Group(f"{name}, random labels", config, 1000, 1.0, 0.0, True) for name, config in KINDS],
    *[Group(f"{name}, all pairs, no decay", config, 800, 1.0, 0.0) for name, config in KINDS],
    *[Group(f"{name}, adds", config, 2500) for name, config in KINDS],
    Group("transformer, c = 0, adds", transformer(1, 0.0), 2500),
    Group("transformer, 2 layers, c = 0, adds", transformer(2, 0.0), 2500),
)


def trained(group: Group, seed: int) -> Named:
    torch.manual_seed(seed)
    net = build_net(group.config)
    task = ModularTask(net.readout.out_features)
    pairs, labels = torch.from_numpy(task.pairs()), torch.from_numpy(task.answers())
    train = torch.from_numpy(task.split(group.fraction, seed)[0])
    if group.random_labels:
        labels = torch.randint(0, task.p, labels.shape)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.002, weight_decay=group.weight_decay, betas=(0.9, 0.98))
    for _ in range(group.steps):
        optimizer.zero_grad()
        cross_entropy(net(pairs[train]).double(), labels[train]).backward()
        optimizer.step()
    return Named(group.name, f"{group.name}, seed {seed}", net.eval(), task)


def from_runs(paths: list[Path], everything: bool) -> Iterator[Named]:
    """The snapshots of the runs, each with the pairs that it was trained on."""
    for run in [Run.open(path) for path in paths]:
        for path in run.snapshots if everything else run.snapshots[-1:]:
            snapshot = load_snapshot(path, Net)
            train = torch.from_numpy(snapshot.split()[0])
            yield Named("runs", f"{run.key} {path.stem}", snapshot.net, snapshot.modular, train)


def hand_built() -> Iterator[Named]:
    for p, frequencies in ((31, (3, 7, 11)), (59, (4, 17)), (59, (1, 5, 12, 26)), (97, (2, 11, 30, 41))):
        task, name = ModularTask(p), f"built by hand, p = {p}, {len(frequencies)} circles"
        yield Named("clock, built by hand", f"clock, {name}", clock(p, frequencies), task)
        yield Named("pizza, built by hand", f"pizza, {name}", pizza(p, frequencies), task)
    for p in (13, 31):
        yield Named("table, built by hand", f"table, built by hand, p = {p}", lookup(p), ModularTask(p))


def row(name: str, label: AlgorithmLabel, seconds: float) -> str:
    m = label.measures
    if m is None:
        return f"| {name} |{' |' * (len(COLUMNS) - 1)} {label} |"
    c, s = m.circular, m.simple
    figures = (
        f"{m.accuracy:.4f}", f"{c.gradient_symmetricity:.3f}", f"{c.distance_irrelevance:.3f}",
        f"{c.runner_up_irrelevance:.3f}", f"{c.circularity:.3f}", str(c.circle_count), f"{c.explained('clock'):.2f}",
        f"{c.explained('pizza'):.2f}", f"{c.shares.clock:.2f}", f"{s.fit:.2f}", f"{s.excess:.2f}",
        f"{m.circle_scrubbed_accuracy:.2f}", f"{seconds:.1f}", str(label),
    )  # fmt: skip
    return f"| {name} | {' | '.join(figures)} |"


def group_row(name: str, labels: list[AlgorithmLabel]) -> str:
    """How many nets got each label, the least and greatest confidence of each, and the accuracies."""
    cells = []
    for algorithm in ALGORITHMS:
        sure = sorted(label.confidence for label in labels if label.name == algorithm)
        reach = f" ({sure[0]:.2f} to {sure[-1]:.2f})" if sure and algorithm != "unknown" else ""
        cells.append(f"{len(sure)}{reach}" if sure else "")
    right = sorted(label.measures.accuracy for label in labels if label.measures is not None)
    reach = f"{right[0]:.3f} to {right[-1]:.3f}" if right else ""
    return f"| {name} | {len(labels)} | {reach} | {' | '.join(cells)} |"


def main(arguments: list[str] | None = None) -> int:
    options = Parser(prog="python -m benchmarks.algorithms", description=__doc__)
    options.add_argument("runs", type=Path, nargs="*", metavar="RUN", help="run directories")
    options.add_argument("--all", action="store_true", help="every snapshot, not the last one only")
    options.add_argument("--hand-built", action="store_true", help="the nets built by hand as well")
    options.add_argument("--train", type=int, nargs="+", default=[], metavar="SEED", help="nets of these seeds as well")
    given = options.parse_args(arguments)
    print(f"| net | {' | '.join(COLUMNS)} |\n|{'---|' * (len(COLUMNS) + 1)}")
    found: dict[str, list[AlgorithmLabel]] = {}
    made = (trained(group, seed) for group in GROUPS for seed in given.train)
    for source in (hand_built() if given.hand_built else (), from_runs(given.runs, given.all), made):
        for one in source:
            start = time.process_time()
            label = name_algorithm(one.net, one.task, one.train)
            print(row(one.name, label, time.process_time() - start), flush=True)
            found.setdefault(one.group, []).append(label)
    print(f"\n| group | n | right | {' | '.join(ALGORITHMS)} |\n|{'---|' * (len(ALGORITHMS) + 3)}")
    for name, labels in found.items():
        print(group_row(name, labels))
    return 0


if __name__ == "__main__":
    sys.exit(reported("python -m benchmarks.algorithms", main))
