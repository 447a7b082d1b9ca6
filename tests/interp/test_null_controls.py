"""Small nets, really trained: right answers alone are not called an algorithm, and the mechanism is where it is.

Which net a training ends in is another one for each seed and each processor. So the thresholds here are far from what
was seen over seeds and instruction sets, and where a label's own threshold is near, most of the seeds must get it.
"""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from interp.labels import label
from interp.progress_measures import Measures, measure
from pipeline.nets import Transformer, TransformerConfig
from pipeline.recipe_files import load_recipe
from pipeline.tasks import ModularTask
from train.loop import Budget, fit

SEEDS = (0, 1, 2)


def memorise(
    task: ModularTask, labels: torch.Tensor, train: torch.Tensor, seed: int, lr: float, steps: int
) -> Measures:
    """AdamW without any regularisation, until every training pair is right or the steps are spent."""
    torch.manual_seed(seed)
    net = Transformer(TransformerConfig(task.p, d_model=48, n_heads=2, d_head=24, d_mlp=128)).eval()
    optimizer = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=0.0, betas=(0.9, 0.98))
    pairs = torch.from_numpy(task.pairs())[train]
    for _ in range(steps):
        logits = net(pairs)
        if torch.equal(logits.argmax(1), labels[train]):
            break
        optimizer.zero_grad()
        cross_entropy(logits, labels[train]).backward()
        optimizer.step()
    return measure(net, task, train, labels=labels)


@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_random_labels_are_memorised(fraction: float) -> None:
    task = ModularTask(31)
    labels = torch.randint(0, task.p, (task.p**2,), generator=torch.Generator().manual_seed(1))
    train = torch.from_numpy(task.split(0.3, 0)[0]) if fraction < 1 else torch.arange(task.p**2)
    m = memorise(task, labels, train, seed=0, lr=2e-3, steps=300)
    assert m.train_accuracy > 0.7
    assert m.scrubbed_accuracy < 0.1
    assert m.neuron_localisation < 1.3 * m.neuron_localisation_null
    assert label(m, task.p) == "memorising"


def test_all_pairs_without_regularisation_is_right_but_no_algorithm() -> None:
    """Such nets do grow trigonometric neurons, but many of their answers hang on the rest of the activations."""
    task = ModularTask(23)
    answers, everything = torch.from_numpy(task.answers()), torch.arange(task.p**2)
    found = [memorise(task, answers, everything, seed, lr=3e-3, steps=1000) for seed in SEEDS]
    assert sum(min(m.accuracy, m.equivariance) > 0.99 for m in found) >= 2
    for m in found:
        assert m.scrubbed_accuracy < 0.7
        assert label(m, task.p) in ("memorising", "pseudo-arithmetic")


def test_the_same_pairs_with_regularisation_are_an_algorithm() -> None:
    """The label asks a scrubbed accuracy of .98; nets trained so have about .99, so that a seed may miss it."""
    task, found = ModularTask(31), []
    for seed in SEEDS:
        net = Transformer(TransformerConfig(task.p, d_model=64, n_heads=2, d_head=32, d_mlp=256)).eval()
        fit(net, task, load_recipe("muon_radial"), Budget(200, 10, 200), seed, train_fraction=1.0)
        found.append(measure(net, task, torch.arange(task.p**2)))
    assert sum(label(m, task.p) == "algorithm" for m in found) >= 2
    for m in found:
        assert min(m.accuracy, m.scrubbed_accuracy) > 0.9
        assert m.neuron_localisation > 2.5 * m.neuron_localisation_null
