"""A circuit from which edges are removed one by one, with its logits kept up to date.

Removing an edge into the logits, or one into a neuron of the last layer, changes nothing but what the read-out sees. In
nets whose nodes are neurons there is no norm, so the logits move by a vector that the circuit's own run gives:
W_U (o_s - o'_s) for an edge s into the logits, and what neuron i writes less without s for an edge into it. Other edges
take a run each.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from torch import Tensor

from interp.attribution.activations import take_positions
from interp.attribution.edge_run import EdgeRun
from interp.circuits.curve import Evaluator
from interp.graph import Link


class Removal:
    """The circuit `kept`, its `logits` and `answers`."""

    def __init__(self, evaluator: Evaluator, kept: NDArray[np.bool_]) -> None:
        self.evaluator, self.kept = evaluator, kept.copy()
        self.graph = evaluator.stream.graph
        self.unembed = evaluator.stream.net.unembed.weight.detach()
        self._measure()

    @torch.no_grad()
    def _measure(self) -> None:
        """Run the circuit, and keep what its last layer was fed."""
        stream, mask = self.evaluator.stream, torch.from_numpy(self.kept[None]).to(self.evaluator.logits.dtype)
        run = EdgeRun(stream, self.evaluator.clean, self.evaluator.there, mask)
        self.logits: Float[Tensor, "batch answers"] = stream.net.run_with_hooks(
            self.evaluator.clean, fwd_hooks=run.hooks()
        )
        self.neurons = run.neurons
        self.sent = {i: take_positions(sent, True)[0, ..., 0, :] for i, sent in run.sent.items()}
        self.fed = run.fed[0, :, 0].T.clone() if run.neurons else run.fed  # [neuron, batch]

    @property
    def answers(self) -> Int[Tensor, " batch"]:
        return self.logits.argmax(1)

    def without(self, edge: int) -> Float[Tensor, "batch answers"]:
        """The logits of the circuit without one of its edges."""
        return self._without(edge)[0]

    def remove(self, edge: int) -> None:
        """Take the edge out of the circuit."""
        logits, fed = self._without(edge)
        self.kept[edge] = False
        if not self._is_last(self._link(edge)):
            self._measure()
            return
        self.logits = logits
        if fed is not None:
            self.fed[self._ends(edge)[1]] = fed

    def _link(self, edge: int) -> Link:
        return next(link for link in self.graph.links if edge < link.stop)

    def _ends(self, edge: int) -> tuple[int, int]:
        """Numbers of sender and receiver within their groups."""
        link = self._link(edge)
        row, column = divmod(edge - link.start, link.receivers)
        return link.first + row, column

    def _is_last(self, link: Link) -> bool:
        receiver = self.graph.groups[link.receiver]
        return self.neurons and receiver.at_last and receiver.kind in ("neuron", "logits")

    @torch.no_grad()
    def _without(self, edge: int) -> tuple[Tensor, Tensor | None]:
        """Logits, and the preactivation of the neuron that the edge feeds."""
        link, (s, r), stream = self._link(edge), self._ends(edge), self.evaluator.stream
        if not self._is_last(link):
            kept = self.kept.copy()
            kept[edge] = False
            return self.evaluator.run(kept[None])[0], None
        sender, receiver = self.graph.groups[link.sender], self.graph.groups[link.receiver]
        block = stream.blocks[-1]
        if receiver.kind == "logits" and sender.kind == "neuron" and sender.at_last:
            before = self.evaluator.there.values[block.post][:, 0, s]
            return self._less(stream.activate(self.fed[s]) - before, block.w_out[:, s]), None
        if sender.kind == "neuron":
            sent = self.sent[link.sender][:, s, None] * stream.blocks[sender.layer].w_out[:, s]
        else:
            sent = self.sent[link.sender][s]
        if receiver.kind == "logits":
            return self.logits - sent @ self.unembed.T, None
        fed = self.fed[r] - sent @ block.w_in[r]
        if not self._reads(link.receiver)[r]:
            return self.logits, fed
        return self._less(stream.activate(self.fed[r]) - stream.activate(fed), block.w_out[:, r]), fed

    def _less(self, activity: Float[Tensor, " batch"], direction: Float[Tensor, " d_model"]) -> Tensor:
        return torch.addr(self.logits, activity, self.unembed @ direction, alpha=-1)

    def _reads(self, group: int) -> Bool[np.ndarray, " neuron"]:
        """Which neurons of the last layer the logits still read."""
        link = next(link for link in self.graph.links_into(len(self.graph.groups) - 1) if link.sender == group)
        return self.kept[link.start : link.stop]
