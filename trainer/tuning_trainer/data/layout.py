"""What one sample is, as far as a model has to know."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Numbers of a shape, unless it says more. A new kind of sample adds a field here, and models that read it."""

    shape: tuple[int, ...]
    """Shape of one sample: [F] numbers, [T, F] steps, [C, H, W] images, [T] tokens."""
    vocabulary: int | None = None
    """Where samples are tokens: how many different ones there are, int64 from 0; 0 fills up short samples."""
