"""`spec.parameters`, and what else describes the search space: ranges, conditions, expressions, first points."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tuning_operator.api.base import JSONScalar, Resource, keyed
from tuning_operator.api.words import Name

ParameterValues = Annotated[dict[Name, JSONScalar], Field(max_length=64)]

Expression = Annotated[str, Field(min_length=1, max_length=512)]
"""CEL over the parameters: by name where the name is an identifier, else `p["optimizer.lr"]`; see docs/search.md."""


class Scale(StrEnum):
    LINEAR = "Linear"
    LOG = "Log"


class Prior(Resource):
    """Where good values are expected: a normal distribution, cut at `min` and `max`; log-normal with `scale: Log`."""

    mean: float = Field(ge=-1e18, le=1e18, description="Most likely value; with `scale: Log` the median.")
    deviation: float = Field(
        gt=0,
        le=1e18,
        description="Standard deviation; with `scale: Log` of the natural logarithm (0.7 is about a factor of 2).",
    )


class FloatRange(Resource):
    """Real numbers between `min` and `max`, both included."""

    min: float = Field(ge=-1e18, le=1e18, description="Smallest value.")
    max: float = Field(ge=-1e18, le=1e18, description="Largest value, above `min`.")
    scale: Scale = Field(Scale.LINEAR, description="`Log` searches orders of magnitude evenly; needs `min` > 0.")
    step: float | None = Field(
        None, gt=0, le=1e18, description="Values are `min`, `min + step`, ... up to `max`. Not with `Log`."
    )
    prior: Prior | None = Field(None, description="Where good values are expected. Not with `step`.")


class IntRange(Resource):
    """Whole numbers between `min` and `max`, both included."""

    min: int = Field(ge=-(2**53), le=2**53, description="Smallest value.")
    max: int = Field(ge=-(2**53), le=2**53, description="Largest value, above `min`.")
    scale: Scale = Field(Scale.LINEAR, description="`Log` searches orders of magnitude evenly; needs `min` >= 1.")
    step: int | None = Field(
        None, ge=1, le=2**53, description="Values are `min`, `min + step`, ... up to `max`. Not with `Log`."
    )


class Condition(Resource):
    """A parameter exists only where another one has one of these values, or lies in this range."""

    parameter: Name = Field(description="Name of the other parameter.")
    values: list[JSONScalar] | None = Field(
        None, min_length=1, max_length=64, description="Values of the other parameter that make this one active."
    )
    min: float | None = Field(None, ge=-1e18, le=1e18, description="Smallest number that makes this one active.")
    max: float | None = Field(None, ge=-1e18, le=1e18, description="Largest number that makes this one active.")


class Parameter(Resource):
    """One dimension of the search space; exactly one of `float`, `int`, `choice`, `ordinal` and `expression`."""

    name: Name = Field(
        description="Name of the parameter, for example `lr` or `optimizer.lr`. "
        "Reaches the trial as `TUNING_PARAM_<NAME>`."
    )
    float_: FloatRange | None = Field(None, alias="float", description="A range of real numbers.")
    int_: IntRange | None = Field(None, alias="int", description="A range of whole numbers.")
    choice: list[JSONScalar] | None = Field(
        None, min_length=1, max_length=256, description="A list of values without order: strings, numbers or booleans."
    )
    ordinal: list[JSONScalar] | None = Field(
        None, min_length=1, max_length=256, description="A list of values in an order that means something."
    )
    expression: Expression | None = Field(
        None,
        description="Not searched but derived: CEL over the other parameters, for example `layers * width`. "
        "Reaches the trial like any other, and is not there where one of those it needs is not active.",
    )
    when: list[Condition] = Field(
        default_factory=list,
        max_length=8,
        description="Conditions, all of which must hold for the parameter to be active. None may name an expression.",
        json_schema_extra=keyed("parameter"),
    )
