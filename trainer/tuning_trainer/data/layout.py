"""What one sample is, as far as a model has to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Layout:
    """Numbers of a shape, unless it says more. A new kind of sample adds a field here, and models that read it."""

    shape: tuple[int, ...]
    """Shape of one sample: [F] numbers, [T, F] steps, [C, H, W] images, [T] tokens."""
    vocabulary: int | None = None
    """Where samples are tokens: how many different ones there are, int64 from 0; 0 fills up short samples."""
    causal: bool = False
    """Whether the model gives its outputs at each position, from it and the earlier ones, instead of once a sample."""
    white: int | None = None
    """Where samples are images: the value of a white pixel before normalisation."""
    ids: tuple[int, ...] = ()
    """Where samples are numbers of things, such as a user and an item: how many there are of each, int64 from 0."""
    tables: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes of what a model holds of the data besides its weights, such as features of items; `Prepared.tables`."""
