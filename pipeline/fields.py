"""The base of every section of params.yaml, and the numbers that occur in more than one of them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

PositiveInt = Annotated[int, Field(ge=1, description="give a whole number, 1 or more")]
Rate = Annotated[float, Field(gt=0, allow_inf_nan=False, description="give a rate above 0, such as 0.001")]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, description="give a number above 0")]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False, description="give a number, 0 or more")]
Share = Annotated[float, Field(gt=0, lt=1, description="give a share strictly between 0 and 1, such as 0.3")]
Fraction = Annotated[float, Field(ge=0, le=1, description="give a number from 0 to 1")]
Momentum = Annotated[float, Field(ge=0, lt=1, description="give a number from 0 up to, but not including, 1")]


class Params(BaseModel):
    """Frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
