"""Transformers in TransformerLens' property format (HookedTransformer state dicts), as nets of ours.

    embed.W_E  pos_embed.W_pos  blocks.i.{ln1.w, ln1.b, ln2.w, ln2.b}  blocks.i.attn.{W_Q, W_K, W_V, W_O, b_Q, ...}
    blocks.i.mlp.{W_in, b_in, W_out, b_out}  ln_final.{w, b}  unembed.{W_U, b_U}

TransformerLens writes x W: W_E [d_vocab, d_model], W_Q [head, d_model, d_head], W_O [head, d_head, d_model]. The files
of Zhong et al. 2023, and of Nanda et al. 2023 before them, write W x: W_E [d_model, d_vocab],
W_Q [head, d_head, d_model], W_O [d_model, head * d_head]. Each shape tells which; where one is square, `orientation`
must.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor

from interp.layouts.layout import Foreign, Settings, Tensors
from interp.layouts.mlp import from_linear, from_mlp
from interp.layouts.plain import as_plain_transformer
from interp.layouts.readout import without_read_out_bias
from interp.layouts.words import ACTIVATIONS, CAUSAL, FIXED, NORMALIZATIONS, ORIENTATIONS, Activation
from pipeline.errors import UserError
from pipeline.nets import DeepTransformerConfig
from pipeline.tasks import ModularTask

T = TypeVar("T")
BUFFERS = r"blocks\.\d+\.attn\.(mask|IGNORE)"
SEQUENCES = {2: "a b", 3: "a b =", 4: "a op b ="}


@dataclass(frozen=True)
class Sequence:
    """Which tokens stand beside a and b, by their number; None where there is none."""

    operator: int | None
    equals: int | None

    @property
    def length(self) -> int:
        return 2 + (self.operator is not None) + (self.equals is not None)


def from_property_format(tensors: Tensors, settings: Settings, task: ModularTask) -> Foreign:
    """The net, with a note on each thing that nothing says; UserError where it is no net for `task`."""
    settings.check_task(task)
    tensors.drop(BUFFERS)
    if "embed.W_E" not in tensors and "l1.weight" in tensors:
        return from_mlp(tensors, settings, task)
    if "blocks.0.W_in" in tensors:
        return from_linear(tensors, settings, task)
    return _Reader(tensors, settings, task).read()


class _Reader:
    """One transformer."""

    def __init__(self, tensors: Tensors, settings: Settings, task: ModularTask) -> None:
        self.tensors, self.settings, self.p, self.notes = tensors, settings, task.p, list[str]()
        self.stored_transposed = False
        settings.check_fixed(FIXED)
        self.own_symbols = bool(settings.values.get("diff_vocab"))
        self.symbols = 2 * task.p if self.own_symbols else task.p
        self.orientation = settings.choice("orientation", ORIENTATIONS)
        if self.orientation is None and "attn_coeff" in settings:
            self.orientation = "Wx"

    def read(self) -> Foreign:
        d_model, state = self._dimensions(), {}
        sequence = self._sequence()
        positions = self.tensors.take("pos_embed.W_pos", (self.n_context, d_model))[: sequence.length]
        embedding = self._embedding(sequence, d_model)
        norm = self._norm()
        biased = any(f"blocks.0.attn.b_{name}" in self.tensors for name in "QKVO")
        state |= {"embed.weight": embedding, "pos.weight": positions}
        n_layers = 0
        while f"blocks.{n_layers}.attn.W_Q" in self.tensors or n_layers == 0:
            state |= self._block(n_layers, d_model, norm, biased)
            n_layers += 1
        read_out, bias = self._read_out(d_model)
        state["unembed.weight"] = read_out
        if norm != "none":
            state |= self._norm_weights("norm", "ln_final", d_model, norm)
        self.settings.agree(
            n_layers=n_layers, n_heads=self.n_heads, d_model=d_model, d_head=self.d_head, d_mlp=self.d_mlp
        )
        config = DeepTransformerConfig(
            self.p,
            self.p,
            self.p,
            n_layers=n_layers,
            d_model=d_model,
            n_heads=self.n_heads,
            d_head=self.d_head,
            d_mlp=self.d_mlp,
            activation=self._activation(),
            pre_norm=norm != "none",
            operator=sequence.operator is not None,
            attention_bias=biased,
            equals=sequence.equals is not None,
            causal=self._causal(n_layers),
            softmax_share=self._share(),
            own_symbols=self.own_symbols,
        )
        self.tensors.finish()
        if bias is not None:
            state, note = without_read_out_bias(state, bias, n_layers, norm != "none")
            config = replace(config, d_model=state["pos.weight"].shape[1])
            self.notes.append(note)
        return as_plain_transformer(Foreign(config, state, tuple(self.notes)))

    def _dimensions(self) -> int:
        """d_model; n_context, n_heads, d_head, d_mlp and the number of tokens are kept."""
        shapes = {name: self.tensors.shape(name) for name in ("pos_embed.W_pos", "embed.W_E", "blocks.0.attn.W_Q")}
        shapes["blocks.0.mlp.b_in"] = self.tensors.shape("blocks.0.mlp.b_in")
        position, embed, query, hidden = shapes.values()
        if (len(position), len(embed), len(query), len(hidden)) != (2, 2, 3, 1):
            found = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            raise UserError(f"{found} = not of 2, 2, 3 and 1 axes: this is not the property format")
        self.n_context, d_model = position
        if d_model not in embed or d_model not in query[1:]:
            raise UserError(f"pos_embed.W_pos = d_model of {d_model}: embed.W_E or W_Q has no such axis")
        self.d_vocab = embed[1] if embed[0] == d_model else embed[0]
        self.n_heads, self.d_head = query[0], query[2] if query[1] == d_model else query[1]
        self.d_mlp = hidden[0]
        return d_model

    def _sequence(self) -> Sequence:
        """From the words of `tokens`, or from the number of positions: 2, 3 and 4 are a b, a b = and a op b =."""
        said = self.settings.values.get("tokens")
        words = str(said or SEQUENCES.get(self.n_context, "")).split()
        if said is None and self.n_context == 3:
            self.notes.append("tokens = a b =, taken for granted")
        shape = ["a" if word == "a" else "b" if word == "b" else "x" for word in words]
        if shape not in (["a", "b"], ["a", "b", "x"], ["a", "x", "b"], ["a", "x", "b", "x"]):
            raise UserError(f"tokens = {said}: for {self.n_context} positions say such as --set tokens='a b ='")
        if len(words) > self.n_context:
            raise UserError(f"tokens = {said}: {len(words)} tokens, the file has {self.n_context} positions")
        others = [word for word in words if word not in ("a", "b")]
        numbers = [self._number(word, len(others)) for word in others]
        needed = self.symbols + len(others)
        if all(word in ("=", "op") for word in others) and self.d_vocab != needed:
            raise UserError(f"embed.W_E = {self.d_vocab} tokens: {needed} are needed for p = {self.p}")
        operator = numbers.pop(0) if shape[1:2] == ["x"] else None
        return Sequence(operator, numbers[0] if numbers else None)

    def _number(self, word: str, others: int) -> int:
        if word in ("=", "op") and others == 1:
            return self.symbols
        if word.isdecimal() and int(word) < self.d_vocab:
            return int(word)
        raise UserError(f"tokens = {word}: give its number, below {self.d_vocab}, such as --set tokens='a 98 b 97'")

    def _embedding(self, sequence: Sequence, d_model: int) -> Float[Tensor, "token d_model"]:
        if self.d_vocab < self.symbols:
            raise UserError(f"embed.W_E = {self.d_vocab} tokens: a net for that modulus, not for --p {self.p}")
        table = self._oriented("embed.W_E", (self.d_vocab, d_model))
        rows = [*range(self.symbols), *(n for n in (sequence.equals, sequence.operator) if n is not None)]
        if len(rows) < self.d_vocab:
            if "tokens" not in self.settings:
                raise UserError(f"embed.W_E = {self.d_vocab} tokens: {len(rows)} are needed for p = {self.p}")
            self.notes.append(f"{self.d_vocab - len(rows)} tokens that are never read left out")
        return table[rows]

    def _oriented(self, name: str, shape: tuple[int, ...]) -> Tensor:
        """The tensor as x W, its last two axes swapped where it is stored as W x."""
        swapped = (*shape[:-2], shape[-1], shape[-2])
        value, square = self.tensors.take(name, shape, swapped), shape == swapped
        if square and self.orientation is None:
            raise UserError(
                f"{name} = {list(shape)}: square, x W or W x? add --set orientation=xW (TransformerLens) or =Wx"
            )
        transposed = self.orientation == "Wx" if square else value.shape != shape
        self.stored_transposed |= transposed
        return value.mT if transposed else value

    def _norm(self) -> str:
        """none, LN or LNPre; with weights it is LN, without any the settings say."""
        said = self.settings.choice("normalization_type", NORMALIZATIONS)
        if "blocks.0.ln1.w" in self.tensors:
            if said not in (None, "LN"):
                raise UserError(f"normalization_type = {said}: the file has LayerNorm weights (blocks.0.ln1.w)")
            return "LN"
        if said == "LN":
            raise UserError("normalization_type = LN: the file has no LayerNorm weights (blocks.0.ln1.w)")
        return "none" if "attn_coeff" in self.settings else self._said("normalization_type", said, "none")

    def _norm_weights(self, ours: str, theirs: str, d_model: int, norm: str) -> dict[str, Tensor]:
        """Our gain is 1 + g."""
        if norm == "LNPre":
            return {f"{ours}.gain": torch.zeros(d_model), f"{ours}.bias": torch.zeros(d_model)}
        gain = self.tensors.take(f"{theirs}.w", (d_model,)) - 1
        return {f"{ours}.gain": gain, f"{ours}.bias": self.tensors.take(f"{theirs}.b", (d_model,))}

    def _block(self, i: int, d_model: int, norm: str, biased: bool) -> dict[str, Tensor]:
        block, heads, width = f"blocks.{i}", (self.n_heads, self.d_head), self.n_heads * self.d_head
        state = {}
        if norm != "none":
            state |= self._norm_weights(f"{block}.norm_attn", f"{block}.ln1", d_model, norm)
            state |= self._norm_weights(f"{block}.norm_mlp", f"{block}.ln2", d_model, norm)
        for name in "QKV":
            stored = self._oriented(f"{block}.attn.W_{name}", (self.n_heads, d_model, self.d_head))
            state[f"{block}.attn.{name.lower()}.weight"] = stored.mT.flatten(0, 1)
            if biased:
                state[f"{block}.attn.{name.lower()}.bias"] = self._bias(f"{block}.attn.b_{name}", heads).flatten()
        out = self.tensors.take(f"{block}.attn.W_O", (d_model, width), (*heads, d_model))
        state[f"{block}.attn.o.weight"] = out if out.ndim == 2 else out.flatten(0, 1).T
        if biased:
            state[f"{block}.attn.o.bias"] = self._bias(f"{block}.attn.b_O", (d_model,))
        state[f"{block}.w_in.weight"] = self._oriented(f"{block}.mlp.W_in", (d_model, self.d_mlp)).T
        state[f"{block}.w_in.bias"] = self.tensors.take(f"{block}.mlp.b_in", (self.d_mlp,))
        state[f"{block}.w_out.weight"] = self._oriented(f"{block}.mlp.W_out", (self.d_mlp, d_model)).T
        state[f"{block}.w_out.bias"] = self.tensors.take(f"{block}.mlp.b_out", (d_model,))
        return state

    def _bias(self, name: str, shape: tuple[int, ...]) -> Tensor:
        return self.tensors.take(name, shape) if name in self.tensors else torch.zeros(shape)

    def _read_out(self, d_model: int) -> tuple[Float[Tensor, "p d_model"], Float[Tensor, " p"] | None]:
        """W_U and b_U without the answers that are no residues, such as "="."""
        n = (self.tensors.shape("unembed.W_U") or (0,))[-1]
        if n < self.p:
            raise UserError(f"unembed.W_U = {n} answers: a net for that modulus, not for --p {self.p}")
        if n > self.p:
            self.notes.append(f"read-out of the {n - self.p} tokens that are no residues left out")
        weight = self.tensors.take("unembed.W_U", (d_model, n)).T[: self.p]
        bias = self.tensors.take("unembed.b_U", (n,))[: self.p] if "unembed.b_U" in self.tensors else None
        return weight, bias if bias is not None and bool(bias.any()) else None

    def _activation(self) -> Activation:
        if self.settings.values.get("act_fn") == "GeLU":
            self.notes.append("act_fn = GeLU, read as gelu_tanh; --set act_fn=gelu for the exact one")
        return self._said("act_fn", self.settings.choice("act_fn", ACTIVATIONS), "relu")

    def _causal(self, n_layers: int) -> bool:
        """The files of Zhong et al. have no mask, whatever their config says; with one layer a mask hides nothing."""
        if "attn_coeff" in self.settings:
            return False
        said = self.settings.choice("attention_dir", CAUSAL)
        return True if n_layers == 1 and said is None else self._said("attention_dir", said, True, "causal")

    def _share(self) -> float:
        """1 in TransformerLens' own orientation; files in the other may be of nets with another c."""
        share = self.settings.share("attn_coeff")
        return 1.0 if share is None and not self.stored_transposed else self._said("attn_coeff", share, 1.0)

    def _said(self, key: str, said: T | None, default: T, word: str = "") -> T:
        if said is None:
            self.notes.append(f"{key} = {word or default}, taken for granted")
            return default
        return said
