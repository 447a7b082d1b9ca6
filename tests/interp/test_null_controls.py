"""Small nets, really trained: right answers alone are not called an algorithm, and the mechanism is where it is."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch.nn.functional import cross_entropy

from interp.labels import algorithm_criteria, label
from interp.progress_measures import Measures, measure
from pipeline.nets import Transformer
from pipeline.tasks import ModularTask

P = 31
TASK = ModularTask(P)
PAIRS, ANSWERS = torch.from_numpy(TASK.pairs()), torch.from_numpy(TASK.answers())
EVERYTHING = torch.arange(P * P)
RANDOM = torch.randint(0, P, (P * P,), generator=torch.Generator().manual_seed(1))


def memorise(net: Transformer, labels: torch.Tensor, train: torch.Tensor, lr: float) -> Measures:
    """AdamW without any regularisation until every training pair is fitted well."""
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=0.0, betas=(0.9, 0.98))
    for _ in range(500):
        loss = cross_entropy(net(PAIRS[train]), labels[train])
        if loss.item() < 0.003:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return measure(net, TASK, train, labels=labels)


def regularise(net: Transformer) -> Measures:
    """Muon with weight decay and a norm penalty on the residual stream, all pairs, a cyclic learning rate."""
    generator = torch.Generator().manual_seed(0)
    matrices, others = [], []
    with torch.no_grad():
        for name, weight in net.named_parameters():
            embeds = "embed" in name or "pos" in name
            gain = 1.27 if name.startswith("unembed") else 0.781
            spread = gain / math.sqrt(weight.shape[-1]) if not embeds or name.startswith("unembed") else 0.124
            weight.normal_(0, spread, generator=generator) if weight.ndim == 2 else weight.zero_()
            (others if embeds or weight.ndim == 1 else matrices).append(weight)
    muon = torch.optim.Muon(matrices, lr=0.277, momentum=0.8, weight_decay=0.233)
    adamw = torch.optim.AdamW(others, lr=0.05, betas=(0.774, 0.993), weight_decay=1.0)
    for step in range(150):
        for optimizer, lr in ((muon, 0.277), (adamw, 0.05)):
            optimizer.param_groups[0]["lr"] = lr * (0.51 + 0.49 * math.cos(math.pi * (step % 10) / 10))
        residual = net.residual(PAIRS)
        penalty = 0.0151 * (residual.norm(dim=1) - 0.532).square().mean()
        loss = cross_entropy(net.unembed(residual), ANSWERS) + penalty
        muon.zero_grad()
        adamw.zero_grad()
        loss.backward()
        muon.step()
        adamw.step()
    return measure(net, TASK, EVERYTHING)


@pytest.mark.parametrize(("fraction", "lr"), [(0.3, 1e-3), (1.0, 3e-3)])
def test_random_labels_are_memorised(make_random: Callable[..., Transformer], fraction: float, lr: float) -> None:
    train = torch.from_numpy(TASK.split(0.3, 0)[0]) if fraction < 1 else EVERYTHING
    m = memorise(make_random(P), RANDOM, train, lr)
    assert m.train_accuracy == 1.0
    assert m.scrubbed_accuracy < 0.1
    assert m.neuron_localisation < 1.3 * m.neuron_localisation_null
    assert label(m, P) == "memorising"


@pytest.mark.parametrize("lr", [1e-3, 1e-2])
def test_all_pairs_without_regularisation_is_right_but_no_algorithm(
    make_random: Callable[..., Transformer], lr: float
) -> None:
    """Such nets do grow trigonometric neurons, but many of their answers hang on the rest of the activations."""
    m = memorise(make_random(P), ANSWERS, EVERYTHING, lr)
    assert min(m.accuracy, m.equivariance) > 0.99
    assert m.scrubbed_accuracy < 0.93
    assert label(m, P) in ("memorising", "pseudo-arithmetic")


def test_the_same_pairs_with_regularisation_are_an_algorithm(make_random: Callable[..., Transformer]) -> None:
    m = regularise(make_random(P))
    assert label(m, P) == "algorithm", [str(criterion) for criterion in algorithm_criteria(m, P)]
