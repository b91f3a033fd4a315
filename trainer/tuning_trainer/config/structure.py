"""What settings of models share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

Activation = Literal["relu", "leaky_relu", "elu", "gelu", "silu", "tanh", "sigmoid"]
Dropout = Annotated[float, Field(ge=0, lt=1)]
