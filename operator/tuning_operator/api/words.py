"""The words that several resources share: names of parameters, metrics and objects."""

from typing import Annotated

from pydantic import Field

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
]
MetricName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_:][A-Za-z0-9_:]*$")]
