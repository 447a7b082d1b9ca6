"""How strong a penalty or noise on the weights is, as a pure function of the share of the budget that is over."""

from __future__ import annotations

from pipeline.recipe_params import StrengthParams


def strength(params: StrengthParams, share: float) -> float:
    """0 before `begin`; value * min(1, (share - begin) / rise) from there on; end * value for the last `anneal`."""
    if share < params.begin:
        return 0.0
    if params.anneal and share >= 1 - params.anneal:
        return params.end * params.value
    return params.value * (min(1.0, (share - params.begin) / params.rise) if params.rise else 1.0)
