"""The base of every section of params.yaml, the numbers that occur in more than one of them, and how large they get."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

MOST, MOST_COUNT, WIDEST = 1_000_000, 1000, 16_384
PositiveInt = Annotated[int, Field(ge=1, le=MOST, description=f"give a whole number from 1 to {MOST}")]
Count = Annotated[int, Field(ge=1, le=MOST_COUNT, description=f"give a whole number from 1 to {MOST_COUNT}")]
"""Of things that are all held at once, such as students or chains."""
Width = Annotated[int, Field(ge=1, le=WIDEST, description=f"give a whole number from 1 to {WIDEST}")]
"""Of a layer."""
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, description="give a rate above 0, such as 0.001")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, description="give a number above 0")]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, description="give a number, 0 or more")]
Share = Annotated[float, Field(gt=0, lt=1, description="give a share strictly between 0 and 1, such as 0.3")]
Fraction = Annotated[float, Field(ge=0, le=1, description="give a number from 0 to 1")]
Momentum = Annotated[float, Field(ge=0, lt=1, description="give a number from 0 up to, but not including, 1")]

MOST_NUMBERS = 1 << 28
"""In one array, 1 GiB of float32; the work holds several of that size at once."""
MOST_WEIGHTS = 20_000_000
"""Of a net."""
MOST_STORED = 1 << 32
"""Weights of all snapshots of a run together, 16 GiB of float32."""


class Params(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def at_most(most: int, count: int, what: str) -> None:
    """ValueError, for a validator, where the keys that `what` begins with come to more than `most` of what it names."""
    if count > most:
        raise ValueError(f"{what}: {count:,}, and {most:,} is the most; lower one of them")
