"""One forward pass over the whole domain, with what the measures read from it, and the same in an operation's basis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.bases import basis_of
from interp.last_layer import last_layer
from pipeline.runs import AnyNet
from pipeline.tasks import Task


@dataclass(frozen=True)
class Evaluation(Generic[AnyNet]):
    """A net on all pairs of its task, in the task's order, or on those of a basis (x * n + y).

    `rows` numbers the pairs in the task's order. Where it is of a basis, symbols and answers go by their names in it.
    """

    net: AnyNet
    task: Task
    rows: Int[Tensor, " pair"]
    answers: Int[Tensor, " pair"]
    logits: Float[Tensor, "pair p"]
    neurons: Float[Tensor, "pair d_mlp"]  # of the last hidden layer
    residual: Float[Tensor, "pair d_model"]  # before the read-out
    neuron_readout: Float[Tensor, "d_mlp p"]  # logits that a unit of each neuron adds
    embedding: Float[Tensor, "p d_embed"]
    unembedding: Float[Tensor, "p d_model"]

    @property
    def n(self) -> int:
        """How many answers there are: p, or the order of the basis' group."""
        return self.logits.shape[1]


def evaluate(net: AnyNet, task: Task) -> Evaluation[AnyNet]:
    """Run the net once over the domain through its TransformerLens hook points."""
    if net.readout.out_features != task.n_answers:
        raise ValueError(f"the net is for p = {net.readout.out_features}, the task for p = {task.n_answers}")
    layer = last_layer(net)
    kept, answers = layer.hooks(), torch.from_numpy(task.answers())
    with torch.no_grad():
        logits, cache = net.run_with_cache(torch.from_numpy(task.pairs()), names_filter=lambda name: name in kept)
    return Evaluation(
        net=net,
        task=task,
        rows=torch.arange(len(answers)),
        answers=answers,
        logits=logits,
        neurons=layer.activations(cache),
        residual=cache[layer.residual],
        neuron_readout=layer.readout,
        embedding=layer.embedding[: task.n_left],
        unembedding=net.unembed.weight.detach(),
    )


def in_basis(whole: Evaluation[AnyNet]) -> Evaluation[AnyNet] | None:
    """An evaluation over all pairs, in the basis of its operation (see `bases`); None where none is known.

    Sums and differences, of which every symbol is in the basis, stay as they are: the answer a - b is a wave in a and
    in b too.
    """
    basis = basis_of(whole.task)
    if basis is None or basis.n == whole.n:
        return None if basis is None else whole
    number = torch.full((whole.task.n_left, whole.task.n_right), -1)
    number[tuple(torch.from_numpy(whole.task.pairs()).T)] = whole.rows
    rows = number[tuple(torch.from_numpy(basis.pairs).T)]
    name, left = torch.from_numpy(basis.answer), torch.from_numpy(basis.left)
    x = torch.arange(basis.n)
    return replace(
        whole,
        rows=rows,
        answers=(x[:, None] + x).flatten() % basis.n,
        logits=whole.logits[rows][:, name],
        neurons=whole.neurons[rows],
        residual=whole.residual[rows],
        neuron_readout=whole.neuron_readout[:, name],
        embedding=whole.embedding[left],
        unembedding=whole.unembedding[name],
    )
