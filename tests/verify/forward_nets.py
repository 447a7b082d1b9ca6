"""Small snapshots of every kind that the proofs know, and their logits in Arb's ball arithmetic."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from flint import arb, ctx
from safetensors.numpy import save_file

P = 5
Tensors = dict[str, np.ndarray]
Balls = list[arb]


def write(path: Path, net: dict[str, Any], tensors: Tensors, p: int = P) -> Path:
    task = json.dumps({"name": "modular", "operation": "addition", "p": p, "train_fraction": 0.3})
    meta = {"format": "catapult-snapshot-1", "net": json.dumps(net), "task": task, "recipe": "standard"}
    save_file(
        {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()},
        path,
        metadata=meta | {"seed": "0", "cycle": "1", "step": "1"},
    )
    return path


def decoder(rng: np.random.Generator, **changes: Any) -> tuple[dict[str, Any], Tensors]:
    """Random weights of a deep_transformer, of deviation 1 / sqrt(fan-in)."""
    shape: dict[str, Any] = {"d_model": 6, "n_heads": 2, "d_head": 3, "d_mlp": 8, "n_layers": 2, "pre_norm": False}
    shape |= {"activation": "relu", "operator": False, "attention_bias": False, "equals": True, "causal": True}
    net = shape | {"softmax_share": 1.0, "kind": "deep_transformer"} | changes
    net |= dict.fromkeys(("n_left", "n_right", "n_answers"), P)
    d, width, extra = net["d_model"], net["n_heads"] * net["d_head"], net["equals"] + net["operator"]
    sizes: dict[str, tuple[int, ...]] = {"embed.weight": (P + extra, d), "pos.weight": (2 + extra, d)}
    for i in range(net["n_layers"]):
        for name in "qkv":
            sizes[f"blocks.{i}.attn.{name}.weight"] = (width, d)
            sizes |= {f"blocks.{i}.attn.{name}.bias": (width,)} if net["attention_bias"] else {}
        sizes[f"blocks.{i}.attn.o.weight"] = (d, width)
        sizes |= {f"blocks.{i}.attn.o.bias": (d,)} if net["attention_bias"] else {}
        sizes |= {f"blocks.{i}.w_in.weight": (net["d_mlp"], d), f"blocks.{i}.w_in.bias": (net["d_mlp"],)}
        sizes |= {f"blocks.{i}.w_out.weight": (d, net["d_mlp"]), f"blocks.{i}.w_out.bias": (d,)}
    sizes["unembed.weight"] = (P, d)
    return net, {name: rng.normal(size=shape) * 1.2 / max(1, shape[-1]) ** 0.5 for name, shape in sizes.items()}


def one_layer(rng: np.random.Generator) -> tuple[dict[str, Any], Tensors]:
    """The same as kind `transformer`."""
    deep, tensors = decoder(rng, n_layers=1)
    net = {key: deep[key] for key in ("d_model", "n_heads", "d_head", "d_mlp")} | {"kind": "transformer", "p": P}
    renamed = {name.replace("blocks.0.w", "mlp.w").replace("blocks.0.", ""): x for name, x in tensors.items()}
    return net, renamed


def perceptron(rng: np.random.Generator, **changes: Any) -> tuple[dict[str, Any], Tensors]:
    net = {
        "kind": "mlp",
        "d_embed": 4,
        "widths": [7, 6],
        "activation": "relu",
        "combine": "sum",
        "bias": True,
    } | changes
    net |= dict.fromkeys(("n_left", "n_right", "n_answers"), P)
    sizes: dict[str, tuple[int, ...]] = dict.fromkeys(("embed_left.weight", "embed_right.weight"), (P, net["d_embed"]))
    d = net["d_embed"] * (2 if net["combine"] == "concatenate" else 1)
    for i, width in enumerate(net["widths"]):
        sizes |= {f"layers.{i}.linear.weight": (width, d)}
        sizes |= {f"layers.{i}.linear.bias": (width,)} if net["bias"] else {}
        d = width
    sizes["unembed.weight"] = (P, d)
    return net, {name: rng.normal(size=shape) * 1.2 / max(1, shape[-1]) ** 0.5 for name, shape in sizes.items()}


KINDS: dict[str, Callable[[np.random.Generator], tuple[dict[str, Any], Tensors]]] = {
    "transformer": one_layer,
    "two layers": decoder,
    "not causal, no =, mixed": lambda rng: decoder(rng, equals=False, causal=False, softmax_share=0.37),
    "operator, biases": lambda rng: decoder(rng, operator=True, attention_bias=True),
    "summed, gelu": lambda rng: decoder(rng, activation="gelu_tanh", softmax_share=0.0, n_layers=1),
    "no hidden units": lambda rng: decoder(rng, d_mlp=0, n_layers=1),
    "two layers, gelu": lambda rng: decoder(rng, activation="gelu_tanh"),
    "mlp, summed": perceptron,
    "mlp, side by side": lambda rng: perceptron(rng, combine="concatenate", bias=False),
    "mlp, gelu": lambda rng: perceptron(rng, activation="gelu_tanh", widths=[9]),
}


def exact_logits(net: dict[str, Any], tensors: Tensors, a: int, b: int) -> Balls:
    """The definition, in balls of 200 bits."""
    ctx.prec, before = 200, ctx.prec
    try:
        weights = {
            k: np.vectorize(arb, otypes=[object])(v.astype(np.float32).astype(float)) for k, v in tensors.items()
        }
        return _mlp(net, weights, a, b) if net["kind"] == "mlp" else _decoder(net, weights, a, b)
    finally:
        ctx.prec = before


def _linear(weights: dict[str, Any], name: str, x: Any) -> Any:
    return weights[f"{name}.weight"] @ x + weights.get(f"{name}.bias", 0)


def _activate(kind: str, x: Any) -> Any:
    if kind == "relu":
        return np.array([max(v, arb(0)) if v > 0 or v < 0 else v.union(arb(0)) for v in x], dtype=object)
    inner = [(2 / arb.pi()).sqrt() * (v + arb(44715) / 1000000 * v**3) for v in x]
    return np.array([v / 2 * (1 + y.tanh()) for v, y in zip(x, inner, strict=True)], dtype=object)


def _mlp(net: dict[str, Any], weights: dict[str, Any], a: int, b: int) -> Balls:
    left, right = weights["embed_left.weight"][a], weights["embed_right.weight"][b]
    x = left + right if net["combine"] == "sum" else np.concatenate([left, right])
    for i in range(len(net["widths"])):
        x = _activate(net["activation"], _linear(weights, f"layers.{i}.linear", x))
    return list(_linear(weights, "unembed", x))


def _decoder(net: dict[str, Any], weights: dict[str, Any], a: int, b: int) -> Balls:
    deep = net["kind"] == "deep_transformer"
    tokens = [a, *([P + net["equals"]] if net.get("operator") else []), b, *([P] if net.get("equals", True) else [])]
    x = [weights["embed.weight"][t] + weights["pos.weight"][j] for j, t in enumerate(tokens)]
    share = arb(net.get("softmax_share", 1.0))
    for i in range(net.get("n_layers", 1)):
        attn, mlp = (f"blocks.{i}.attn.", f"blocks.{i}.") if deep else ("attn.", "mlp.")
        q, k, v = ([_linear(weights, attn + name, y) for y in x] for name in "qkv")
        after = []
        for j in range(len(x)):
            z = []
            for h in range(net["n_heads"]):
                head = slice(h * net["d_head"], (h + 1) * net["d_head"])
                seen = range(j + 1) if net.get("causal", True) else range(len(x))
                powers = [((q[j][head] @ k[t][head]) / arb(net["d_head"]).sqrt()).exp() for t in seen]
                pattern = [share * power / sum(powers, arb(0)) + 1 - share for power in powers]
                z.extend(np.sum([w * v[t][head] for w, t in zip(pattern, seen, strict=True)], axis=0))
            y = x[j] + _linear(weights, attn + "o", np.array(z, dtype=object))
            hidden = _activate(net.get("activation", "relu"), _linear(weights, mlp + "w_in", y))
            after.append(y + _linear(weights, mlp + "w_out", hidden))
        x = after
    return list(_linear(weights, "unembed", x[-1]))
