"""From a recipe's parameters to the objects that carry it out: initial weights and optimisers.

A net's parameters fall into three groups, which a recipe may train differently: the hidden `matrices`, the
`embeddings` (with the biases), and the `readout`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

from pipeline.nets import Transformer
from pipeline.params import AdamWParams, InitParams, MuonParams, RecipeParams


def parameter_groups(net: Transformer) -> dict[str, list[nn.Parameter]]:
    """Every parameter of the net exactly once: matrices, embeddings (and biases), readout."""
    groups: dict[str, list[nn.Parameter]] = {"matrices": [], "embeddings": [], "readout": []}
    for name, weight in net.named_parameters():
        if name.startswith("unembed"):
            groups["readout"].append(weight)
        elif name.startswith(("embed", "pos")) or weight.ndim == 1:
            groups["embeddings"].append(weight)
        else:
            groups["matrices"].append(weight)
    return groups


@torch.no_grad()
def initialise(net: Transformer, params: InitParams, generator: torch.Generator) -> None:
    """Embeddings N(0, embed_std^2), matrices N(0, gain^2 / fan_in), biases 0; drawn in the order of the parameters."""
    for name, weight in net.named_parameters():
        if weight.ndim == 1:
            weight.zero_()
        elif name.startswith(("embed", "pos")):
            weight.normal_(0, params.embed_std, generator=generator)
        else:
            gain = params.readout_gain if name.startswith("unembed") else params.hidden_gain
            weight.normal_(0, gain / weight.shape[1] ** 0.5, generator=generator)


def make_optimizers(net: Transformer, recipe: RecipeParams) -> list[Optimizer]:
    """One optimiser a group; the learning rate is each group's peak, which the schedule multiplies."""
    groups = parameter_groups(net)
    chosen = {
        "matrices": recipe.optimizer,
        "embeddings": recipe.embeddings or recipe.optimizer,
        "readout": recipe.readout or recipe.optimizer,
    }
    return [_make(groups[name], params) for name, params in chosen.items()]


def _make(weights: list[nn.Parameter], params: AdamWParams | MuonParams) -> Optimizer:
    if isinstance(params, AdamWParams):
        return AdamW(weights, lr=params.lr, betas=params.betas, weight_decay=params.weight_decay)
    return Muon(
        weights,
        lr=params.lr,
        weight_decay=params.weight_decay,
        momentum=params.momentum,
        nesterov=params.nesterov,
    )
