"""What every section of the settings is: a frozen pydantic model that refuses what it does not know.

Values are strict: text is never read as a number, true never as 1. Not-a-number and infinity are no settings.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """Base of every settings class. A class with a `name: Literal[...]` field is one member of a choice of sections."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        validate_default=True,
    )
