"""Run a net with every edge open, closed or between, in one forward pass through TransformerLens hook points.

Receiver r reads x_r = x'_r + sum over senders s of m_sr (o_s - o'_s): o_s is what s writes in this very run, a dash
marks the run on the corrupted inputs. m = 1 everywhere is the net on the clean inputs, m = 0 on the corrupted ones;
m in {0, 1} is a circuit whose complement is patched (Conmy et al. 2023; Hanna et al. 2024, section 3).

Heads of a block read from one stream, so the batch enters a block once a head: copy h is what head h reads, and at
`hook_z` head h is taken from copy h. Several masks run side by side along the batch in the same way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.activations import Activations, take_positions
from interp.attribution.stream import Stream
from interp.graph import Link

ROWS = 1 << 14
"""Positions that one forward pass takes in at most, counting copies."""

Hook = tuple[str | Callable[..., Any], Callable[..., Any]]


class EdgeRun:
    """The hooks of one run, and what is known of it so far.

    `sent` holds each group's o - o', by number of the group, copies first; `fed` the preactivations of the layer of
    neurons that was run last.
    """

    def __init__(
        self, stream: Stream, clean: Int[Tensor, "batch 2"], corrupted: Activations, mask: Float[Tensor, "mask edge"]
    ) -> None:
        self.stream, self.before, self.mask = stream, corrupted.values, mask
        self.clean, self.corrupted = clean, corrupted
        self.copies, self.batch = len(mask), len(corrupted.logits)
        self.sent: dict[int, Tensor] = {}
        self.fed = torch.empty(0)
        self.group = {(g.kind, g.layer): i for i, g in enumerate(stream.graph.groups)}
        self.neurons = any(kind == "neuron" for kind, _ in self.group)

    def hooks(self) -> list[Hook]:
        found: list[Hook] = [(self.stream.embed, self._embed)]
        for layer, block in enumerate(self.stream.blocks):
            if block.z is not None:
                found.append((block.z, lambda value, hook, layer=layer: self._heads(value, layer)))
                found.append((block.mid, lambda value, hook, layer=layer: self._enter_mlp(value, layer)))
            if self.neurons:
                found.append((block.pre, lambda value, hook, layer=layer: self._enter_neurons(layer)))
            found.append((block.post, lambda value, hook, layer=layer: self._mlp(value, layer)))
            found.append((block.out, lambda value, hook, layer=layer: self._leave(layer + 1)))
        return found

    def _apart(self, name: str, value: Tensor, copies: int) -> Tensor:
        """[copies, batch, pos, ...] of a value whose batch holds copies."""
        return self.stream.lift(name, value).unflatten(0, (copies, self.batch))

    def _together(self, name: str, value: Tensor) -> Tensor:
        """The inverse of `_apart`, for any number of axes of copies before [batch, pos, width]."""
        return self.stream.lower(name, value.flatten(0, -4).flatten(0, 1))

    def _embed(self, value: Tensor, hook: Any) -> Tensor:
        name = self.stream.embed
        change = self.stream.embeddings(self.stream.lift(name, value), self.clean)
        change = change - self.stream.embeddings(self.before[name], self.corrupted.pairs)
        self.sent[self.group["embed", -1]] = change.expand(self.copies, -1, -1, -1, -1)
        return self._leave(0)

    def _leave(self, layer: int) -> Tensor:
        """What is read where block `layer` begins: a copy a head, or the logits' input after the last block.

        Where nothing reads there (neurons are fed at their preactivations), any value of the right shape.
        """
        name = self.stream.reads(layer)
        if layer == len(self.stream.blocks):
            return self._together(name, self._arriving(self.group["logits", layer], name))
        block = self.stream.blocks[layer]
        if len(block.w_o):
            return self._together(name, self._arriving(self.group["head", layer], name))
        if block.z is None and not self.neurons:
            return self._together(name, self._arriving(self.group["mlp", layer], name))
        return self._together(name, self.before[name].expand(self.copies, -1, -1, -1))

    def _heads(self, value: Tensor, layer: int) -> Tensor:
        block = self.stream.blocks[layer]
        heads = len(block.w_o)
        if heads and block.z is not None:
            apart = self._apart(block.z, value, self.copies * heads).unflatten(0, (self.copies, heads))
            own = torch.diagonal(apart, dim1=1, dim2=4)  # [copy, batch, pos, d_head, head]
            change = own.movedim(-1, -2) - self.before[block.z]
            self.sent[self.group["head", layer]] = torch.einsum("kbphe,hed->khbpd", change, block.w_o)
        return value

    def _enter_mlp(self, value: Tensor, layer: int) -> Tensor:
        if self.neurons:
            return value[: self.copies * self.batch]
        name = self.stream.blocks[layer].mid
        return self._together(name, self._arriving(self.group["mlp", layer], name))

    def _enter_neurons(self, layer: int) -> Tensor:
        block, index = self.stream.blocks[layer], self.group["neuron", layer]
        total = self.before[block.pre]
        for link in self.stream.graph.links_into(index):
            if link.senders:
                total = total + into_neurons(self.stream, link, self._part(link), self.sent[link.sender])
        self.fed = total
        return self._together(block.pre, total)

    def _mlp(self, value: Tensor, layer: int) -> Tensor:
        block = self.stream.blocks[layer]
        change = self._apart(block.post, value, self.copies) - self.before[block.post]
        kind = "neuron" if self.neurons else "mlp"
        self.sent[self.group[kind, layer]] = change if self.neurons else (change @ block.w_out.T)[:, None]
        return value

    def _part(self, link: Link) -> Tensor:
        return self.mask[:, link.start : link.stop].unflatten(1, (link.senders, link.receivers))

    def _arriving(self, index: int, name: str) -> Tensor:
        """[copy, receiver, batch, pos, d_model]: the input of every receiver of a group that reads the stream."""
        group = self.stream.graph.groups[index]
        at_last = group.at_last and group.kind != "head"
        total = take_positions(self.before[name], at_last)
        for link in self.stream.graph.links_into(index):
            if link.senders:
                total = total + self._carried(link, at_last)
        return total

    def _carried(self, link: Link, at_last: bool) -> Tensor:
        """sum over s of m_sr (o_s - o'_s) for every receiver r of the link."""
        sender, part = self.stream.graph.groups[link.sender], self._part(link)
        sent = take_positions(self.sent[link.sender], at_last)
        if sender.kind == "neuron":
            w_out = self.stream.blocks[sender.layer].w_out
            return torch.einsum("kjr,kbpj,dj->krbpd", part, sent, w_out)
        return torch.einsum("ksr,ksbpd->krbpd", part, sent[:, link.first :])


def into_neurons(stream: Stream, link: Link, part: Tensor, sent: Tensor) -> Tensor:
    """[copy, batch, pos, neuron]: what a link adds to the neurons' inputs, sum over s of m_si W_in,i (o_s - o'_s)."""
    sender, receiver = stream.graph.groups[link.sender], stream.graph.groups[link.receiver]
    w_in = stream.blocks[receiver.layer].w_in
    sent = take_positions(sent, receiver.at_last)
    if sender.kind == "neuron":
        ways = (w_in @ stream.blocks[sender.layer].w_out).T  # [sending neuron, receiving neuron]
        return torch.einsum("kji,kbpj->kbpi", part * ways, sent)
    total = sent.new_zeros(())
    for share, one in zip(part.unbind(1), sent[:, link.first :].unbind(1), strict=True):
        one = one[:1] if one.stride(0) == 0 else one  # the same in every copy
        total = total + share[:, None, None] * (one @ w_in.T)
    return total


def run_edges(
    stream: Stream, clean: Int[Tensor, "batch 2"], corrupted: Activations, mask: Float[Tensor, "mask edge"]
) -> Float[Tensor, "mask batch answers"]:
    """Logits under every mask, differentiable in the masks."""
    widest = (
        max([1, *(len(block.w_o) for block in stream.blocks)]) * len(clean) * corrupted.values[stream.embed].shape[1]
    )
    chunks = mask.split(max(1, ROWS // widest))
    found = []
    for part in chunks:
        run = EdgeRun(stream, clean, corrupted, part)
        logits = stream.net.run_with_hooks(clean, fwd_hooks=run.hooks())
        found.append(logits.unflatten(0, (len(part), len(clean))))
    return torch.cat(found)
