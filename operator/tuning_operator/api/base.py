"""The one base of all resource models: camelCase on the wire, unknown fields refused, values frozen."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

JSONScalar = str | int | float | bool
"""A value a parameter can take. Null is not one: an inactive parameter is absent."""

Duration = Annotated[
    str,
    Field(
        pattern=r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,8}s)?$",
        min_length=2,
        max_length=24,
        examples=["6h", "1h30m", "90s"],
    ),
]
"""Whole hours, minutes and seconds, in this order: `6h`, `1h30m`, `90s`."""

Timestamp = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]
"""RFC 3339 in UTC: `2026-01-31T12:00:00Z`."""

Object = dict[str, Any]
"""Any JSON object, kept as it is (`x-kubernetes-preserve-unknown-fields`)."""


class Resource(BaseModel):
    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        validate_by_name=True,
        allow_inf_nan=False,
    )


def keyed(*fields: str) -> dict[str, Any]:
    """Schema extras of a list whose items are known by these fields: no two alike, merged by them on apply."""
    return {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(fields)}


def unique() -> dict[str, Any]:
    """Schema extras of a list of scalars without duplicates."""
    return {"x-kubernetes-list-type": "set"}
