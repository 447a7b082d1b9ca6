"""Runs of tasks on pairs other than sums, of nets built by hand: a clock of discrete logarithms, a table by heart."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch

from interp.bases import basis_of
from pipeline.nets import Transformer, TransformerConfig
from pipeline.runs import Snapshot, save_snapshot
from pipeline.tasks import ModularTask
from pipeline.tasks.registry import PairTask, describe_task
from tests.interp.conftest import clock

FRACTION = 0.8


def product_clock(task: ModularTask, frequencies: tuple[int, ...], idle: int = 0) -> Transformer:
    """A net for a * b mod p that is right on all inputs: a clock of Z_(p - 1), and one neuron that knows 0.

    Symbols and answers other than 0 have the rows of their discrete logarithms; 0 has a direction of its own. `idle`
    neurons vary and are not read.
    """
    basis = basis_of(task)
    assert basis is not None
    small = clock(task.p - 1, frequencies, idle=idle)
    width, n_mlp = small.config.d_model, small.config.d_mlp
    d_model = width + 2
    net = Transformer(TransformerConfig(task.p, d_model=d_model, n_heads=1, d_head=d_model, d_mlp=n_mlp + 1)).eval()
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
        net.attn.v.weight.copy_(3 * torch.eye(d_model))
        net.attn.o.weight.copy_(torch.eye(d_model))
        net.embed.weight[torch.from_numpy(basis.left), :width] = small.embed.weight[:-1]
        net.unembed.weight[torch.from_numpy(basis.answer), :width] = small.unembed.weight
        net.mlp.w_in.weight[:-1, :width] = small.mlp.w_in.weight
        net.mlp.w_out.weight[:width, :-1] = small.mlp.w_out.weight
        net.embed.weight[0, width], net.mlp.w_in.weight[-1, width] = 1, 1
        net.mlp.w_out.weight[width + 1, -1], net.unembed.weight[0, width + 1] = 1000, 1
    return net


def table_by_heart(task: PairTask, mistakes: int = 0) -> Transformer:
    """A neuron for every pair, which fires on it alone; the last ones of the table are `mistakes`.

    One head copies a and another one b, each to its own place, so that the order counts.
    """
    n, pairs, answers = task.n_answers, task.pairs(), task.answers()
    d_model = 4 * n + 3
    net = Transformer(TransformerConfig(n, d_model=d_model, n_heads=2, d_head=n, d_mlp=len(pairs))).eval()
    rows = torch.arange(n)
    with torch.no_grad():
        for weight in net.parameters():
            weight.zero_()
        net.embed.weight[rows, rows] = 1
        net.pos.weight[[0, 1, 2], [4 * n, 4 * n + 1, 4 * n + 2]] = 1
        for head in (0, 1):
            net.attn.q.weight[head * n, 4 * n + 2], net.attn.k.weight[head * n, 4 * n + head] = 100, 100
            net.attn.v.weight[head * n + rows, rows] = 1
            net.attn.o.weight[(1 + head) * n + rows, head * n + rows] = 1
        net.mlp.w_in.bias.fill_(-1.5)
        for neuron, ((a, b), answer) in enumerate(zip(pairs.tolist(), answers.tolist(), strict=True)):
            said = (answer + (neuron >= len(pairs) - mistakes)) % n
            net.mlp.w_in.weight[neuron, [n + a, 2 * n + b]] = 1
            net.mlp.w_out.weight[3 * n + said, neuron] = 20
        net.unembed.weight[rows, 3 * n + rows] = 1
    return net


def untrained(task: PairTask) -> Transformer:
    torch.manual_seed(0)
    return Transformer(TransformerConfig(task.n_answers, d_model=16, n_heads=2, d_head=8, d_mlp=24)).eval()


def write_run(directory: Path, task: PairTask, nets: Sequence[Transformer]) -> Path:
    """A run with these nets as its snapshots, from cycle 0 on, ten steps each."""
    for cycle, net in enumerate(nets):
        path = directory / "snapshots" / f"cycle-{cycle:04d}.safetensors"
        save_snapshot(path, Snapshot(net, task, FRACTION, "made", 0, cycle, 10 * cycle))
    last = len(nets) - 1
    params = {
        "name": directory.name,
        "digest": "d" * 64,
        "task": {**describe_task(task), "train_fraction": FRACTION},
        "recipe": "made",
        "phases": [{"recipe": "made", "last_cycle": last}],
        "train": {"seed": 0, "steps": 10 * last, "cycle_steps": 10},
    }
    (directory / "params.json").write_text(json.dumps(params))
    return directory


def wrong(net: Transformer, task: PairTask) -> int:
    """The inputs on which the net's largest logit is not the answer, by the task's exact reference."""
    with torch.no_grad():
        given = net(torch.from_numpy(task.pairs())).argmax(1).tolist()
    return sum(one != task.reference(a, b) for one, (a, b) in zip(given, task.pairs().tolist(), strict=True))
