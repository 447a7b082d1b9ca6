"""A net seen in the basis of its operation: logits, embeddings and first preactivations on the n x n pairs."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.bases import Basis, basis_of
from interp.first_layer import embeddings, first_layer
from pipeline.errors import UserError
from pipeline.nets import Net
from pipeline.tasks import Task


@dataclass(frozen=True)
class View:
    """Indices x, y and z are names in Z_n; the answer to (x, y) is z = x + y mod n."""

    net: Net
    basis: Basis
    pairs: Int[Tensor, "pair 2"]
    logits: Float[Tensor, "n n n"]  # [x, y, z], float64
    first: Float[Tensor, "pair d_first"]  # preactivations of the first neurons
    left: Float[Tensor, "n d_embed"]  # embeddings
    right: Float[Tensor, "n d_embed"]

    @property
    def n(self) -> int:
        return self.basis.n

    @property
    def answers(self) -> Int[Tensor, "n n"]:
        """x + y mod n."""
        x = torch.arange(self.n)
        return (x[:, None] + x) % self.n

    @property
    def accuracy(self) -> float:
        """Share of the pairs whose largest logit, among those of the basis, is the answer."""
        return int((self.logits.argmax(2) == self.answers).sum()) / self.n**2


def view(net: Net, task: Task) -> View:
    """One forward pass. UserError for an operation without a basis, and for a net of another modulus."""
    basis = basis_of(task)
    if basis is None:
        raise UserError(
            f"operation = {task.operation!r}: no basis is known in which it is a sum; its label is `unknown`"
        )
    if net.readout.out_features != task.n_answers:
        raise UserError(
            f"net answers = {net.readout.out_features}: the task has {task.n_answers}; give the net's own modulus"
        )
    layer = first_layer(net)
    pairs = torch.from_numpy(basis.pairs)
    with torch.no_grad():
        logits, cache = net.run_with_cache(pairs, names_filter=layer.neurons)
    first = cache[layer.neurons]
    left, right = (table.double() for table in embeddings(net))
    return View(
        net=net,
        basis=basis,
        pairs=pairs,
        logits=in_basis(logits, basis),
        first=first[:, -1] if first.ndim == 3 else first,
        left=left[torch.from_numpy(basis.left)],
        right=right[torch.from_numpy(basis.right)],
    )


def in_basis(logits: Float[Tensor, "pair p"], basis: Basis) -> Float[Tensor, "n n n"]:
    """Logits of the pairs of a basis as [x, y, z], in float64."""
    return logits[:, torch.from_numpy(basis.answer)].double().reshape(basis.n, basis.n, basis.n)
