"""From a recipe's parameters to the objects that carry it out: initial weights and optimisers.

A net's parameters fall into three groups, which a recipe may train differently: the hidden `matrices`, the
`embeddings` (with the biases), and the `readout`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import nn
from torch.optim import AdamW, Optimizer

from pipeline.nets import Net
from pipeline.recipe_params import AdamWParams, InitParams, LionParams, MuonParams, RecipeParams
from train.lion import Lion
from train.muon import Muon


@torch.no_grad()
def initialise(net: Net, params: InitParams, generator: torch.Generator) -> None:
    """Embeddings N(0, embed_std^2), matrices N(0, gain^2 / fan_in), biases 0; drawn in the order of the parameters."""
    group_of = {weight: name for name, weights in net.parameter_groups().items() for weight in weights}
    for weight in net.parameters():
        if weight.ndim == 1:
            weight.zero_()
        elif group_of[weight] == "embeddings":
            weight.normal_(0, params.embed_std, generator=generator)
        else:
            gain = params.readout_gain if group_of[weight] == "readout" else params.hidden_gain
            weight.normal_(0, gain / weight.shape[1] ** 0.5, generator=generator)
    net.adjust_initial_weights()


def make_optimizers(groups: Mapping[str, Sequence[nn.Parameter]], recipe: RecipeParams) -> list[Optimizer]:
    """One optimiser a group that has weights; its learning rate is the recipe's, which the schedule multiplies.

    The weights are those of one net, or stacks over nets: AdamW and Lion act number by number, Muon matrix by matrix.
    """
    chosen = {
        "matrices": recipe.optimizer,
        "embeddings": recipe.embeddings or recipe.optimizer,
        "readout": recipe.readout or recipe.optimizer,
    }
    return [_make(weights, chosen[name]) for name, weights in groups.items() if weights]


def decays(recipe: RecipeParams) -> bool:
    """Whether any of its optimisers has weight decay."""
    optimizers = (recipe.optimizer, recipe.embeddings, recipe.readout)
    return any(params is not None and params.weight_decay > 0 for params in optimizers)


def _make(weights: Sequence[nn.Parameter], params: AdamWParams | MuonParams | LionParams) -> Optimizer:
    match params:
        case AdamWParams():
            return AdamW(weights, lr=params.lr, betas=params.betas, weight_decay=params.weight_decay)
        case LionParams():
            return Lion(weights, lr=params.lr, betas=params.betas, weight_decay=params.weight_decay)
        case MuonParams():
            return Muon(
                weights,
                lr=params.lr,
                weight_decay=params.weight_decay,
                momentum=params.momentum,
                nesterov=params.nesterov,
            )
