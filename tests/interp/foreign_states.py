"""Small state dicts in the formats of others, each with its own forward pass."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

P, D, HEADS, D_HEAD, D_MLP = 7, 9, 2, 3, 12
State = dict[str, Tensor]
PAIRS = torch.cartesian_prod(torch.arange(P), torch.arange(P))


def drawn(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> State:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=generator) / 3 for name, shape in shapes.items()}


def zhong(n_layers: int, seed: int = 0) -> State:
    """The shapes of the pizza transformers, W x."""
    shapes: dict[str, tuple[int, ...]] = {"embed.W_E": (D, P), "pos_embed.W_pos": (2, D), "unembed.W_U": (D, P)}
    for i in range(n_layers):
        shapes |= {f"blocks.{i}.attn.W_{name}": (HEADS, D_HEAD, D) for name in "KQV"}
        shapes |= {f"blocks.{i}.attn.W_O": (D, HEADS * D_HEAD), f"blocks.{i}.attn.mask": (2, 2)}
        shapes |= {f"blocks.{i}.mlp.W_in": (D_MLP, D), f"blocks.{i}.mlp.b_in": (D_MLP,)}
        shapes |= {f"blocks.{i}.mlp.W_out": (D, D_MLP), f"blocks.{i}.mlp.b_out": (D,)}
    return drawn(shapes, seed)


def zhong_logits(w: State, c: float, act: Callable[[Tensor], Tensor], pairs: Tensor = PAIRS) -> Tensor:
    """One head and one query at a time."""
    x = w["embed.W_E"].T[pairs] + w["pos_embed.W_pos"]
    for i in range(len([name for name in w if name.endswith("attn.W_Q")])):
        block, heads = f"blocks.{i}", []
        for head in range(w[f"{block}.attn.W_Q"].shape[0]):
            q, k, v = (x @ w[f"{block}.attn.W_{name}"][head].T for name in "QKV")
            pattern = c * (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) + (1 - c)
            heads.append(pattern @ v)
        x = x + torch.cat(heads, dim=-1) @ w[f"{block}.attn.W_O"].T
        hidden = act(x @ w[f"{block}.mlp.W_in"].T + w[f"{block}.mlp.b_in"])
        x = x + hidden @ w[f"{block}.mlp.W_out"].T + w[f"{block}.mlp.b_out"]
    return x[:, -1] @ w["unembed.W_U"]


def lens(n_layers: int, norm: bool = True, biases: float = 1.0) -> State:
    """The shapes of a HookedTransformer on "a b =", x W; it reads out its p + 1 tokens."""
    shapes: dict[str, tuple[int, ...]] = {"embed.W_E": (P + 1, D), "pos_embed.W_pos": (3, D), "unembed.W_U": (D, P + 1)}
    for i in range(n_layers):
        attn, mlp = f"blocks.{i}.attn", f"blocks.{i}.mlp"
        shapes |= {f"{attn}.W_{name}": (HEADS, D, D_HEAD) for name in "QKV"}
        shapes |= {f"{attn}.b_{name}": (HEADS, D_HEAD) for name in "QKV"}
        shapes |= {f"{attn}.W_O": (HEADS, D_HEAD, D), f"{attn}.b_O": (D,), f"{attn}.mask": (3, 3)}
        shapes |= {f"{mlp}.W_in": (D, D_MLP), f"{mlp}.b_in": (D_MLP,), f"{mlp}.W_out": (D_MLP, D), f"{mlp}.b_out": (D,)}
        shapes |= {f"blocks.{i}.ln{j}.{name}": (D,) for j in (1, 2) for name in "wb" if norm}
    shapes |= {f"ln_final.{name}": (D,) for name in "wb" if norm}
    state = drawn({**shapes, "unembed.b_U": (P + 1,)})
    return {name: w * biases if ".b_" in name and "mlp" not in name else w for name, w in state.items()}


def lens_logits(w: State, act: Callable[[Tensor], Tensor]) -> Tensor:
    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (D,), w[f"{name}.w"], w[f"{name}.b"]) if f"{name}.w" in w else x

    x = w["embed.W_E"][torch.cat([PAIRS, torch.full((len(PAIRS), 1), P)], dim=1)] + w["pos_embed.W_pos"]
    for i in range(len([name for name in w if name.endswith("attn.W_Q")])):
        block = f"blocks.{i}"
        y = norm(x, f"{block}.ln1")
        q, k, v = (
            torch.einsum("bpd,hde->bhpe", y, w[f"{block}.attn.W_{n}"]) + w[f"{block}.attn.b_{n}"][:, None]
            for n in "QKV"
        )
        scores = (q @ k.mT / D_HEAD**0.5).masked_fill(torch.ones(3, 3).triu(1).bool(), -torch.inf)
        x = x + torch.einsum("bhpe,hed->bpd", scores.softmax(-1) @ v, w[f"{block}.attn.W_O"]) + w[f"{block}.attn.b_O"]
        hidden = act(norm(x, f"{block}.ln2") @ w[f"{block}.mlp.W_in"] + w[f"{block}.mlp.b_in"])
        x = x + hidden @ w[f"{block}.mlp.W_out"] + w[f"{block}.mlp.b_out"]
    return (norm(x[:, -1], "ln_final") @ w["unembed.W_U"] + w["unembed.b_U"])[:, :P]


def mlp_state(kind: str) -> State:
    shapes = {"embed.weight": (P, D), "unembed.weight": (P, D_MLP), "l1.weight": (D_MLP, D), "l1.bias": (D_MLP,)}
    if kind == "D":
        shapes["l1.weight"] = (D_MLP, 2 * D)
    if kind in "BC":
        shapes |= {"l2.weight": (D_MLP, D_MLP), "l2.bias": (D_MLP,)}
    if kind == "X":
        shapes["embed1.weight"] = shapes["embed2.weight"] = shapes.pop("embed.weight")
    return drawn(shapes)


def mlp_logits(w: State, kind: str) -> Tensor:
    a, b = PAIRS.T
    left, right = (w.get(name, w.get("embed.weight")) for name in ("embed1.weight", "embed2.weight"))
    assert left is not None
    assert right is not None
    l1, l2 = ((lambda x, n=n: x @ w[f"{n}.weight"].T + w[f"{n}.bias"]) for n in ("l1", "l2"))
    if kind == "D":
        h = l1(torch.cat([left[a], right[b]], dim=1)).relu()
    elif kind == "C":
        h = (l1(left[a]) + l1(right[b])).relu()
    else:
        h = l1(left[a] + right[b]).relu()
    return (l2(h).relu() if kind in "BC" else h) @ w["unembed.weight"].T
