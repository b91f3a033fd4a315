"""Batches of a part that is held beside its device: gathered by a thread while the ones before are worked on, and on a
GPU copied there from page-locked memory on a stream of their own.

What comes out does not depend on any of this: it is the rows asked for, and a failure is raised where its batch would
have been. A thread that has nothing to do waits for nothing: it is idle, and ends with the process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import torch
from torch import Tensor

from tuning_trainer.data.prepared import Part

Batch = tuple[Tensor, Tensor]
AHEAD = 2
"""Batches made ready beyond the one that is worked on."""


def feed(part: Part, rows: Sequence[Tensor]) -> Callable[[int], Batch]:
    """The batches that `rows` (int64 [B] each, on the CPU) name, by position, on the part's device.

    They are asked for in their order, from any position on.
    """
    if part.device.type == "cuda":
        return _Ahead(_PageLocked(part, rows), len(rows), to_come=_arrived)
    return _Ahead(lambda position: (part.inputs[rows[position]], part.targets[rows[position]]), len(rows))


class _Ahead:
    """Makes what comes next before it is asked for."""

    def __init__(
        self, make: Callable[[int], Any], count: int, *, to_come: Callable[[Any], Batch] = lambda made: made
    ) -> None:
        """`make(position)` is called in a thread, `to_come` where the batch is wanted."""
        self._make = make
        self._count = count
        self._to_come = to_come
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="batches")
        self._made: dict[int, Future[Any]] = {}

    def __call__(self, position: int) -> Batch:
        for each in range(position, min(position + 1 + AHEAD, self._count)):
            if each not in self._made:
                self._made[each] = self._thread.submit(self._make, each)
        return self._to_come(self._made.pop(position).result())


class _PageLocked:
    """Gathers into page-locked memory, from where a copy to the GPU needs nobody's time."""

    def __init__(self, part: Part, rows: Sequence[Tensor]) -> None:
        self._part = part
        self._rows = rows
        self._stream = torch.cuda.Stream(part.device)  # type: ignore[no-untyped-call]
        most = max(map(len, rows))
        places = AHEAD + 1
        self._places = [
            torch.empty((most, *part.inputs.shape[1:]), dtype=part.inputs.dtype, pin_memory=True) for _ in range(places)
        ]
        self._copied: list[torch.cuda.Event | None] = [None] * places

    def __call__(self, position: int) -> tuple[Tensor, Tensor, torch.cuda.Event]:
        part, rows, place = self._part, self._rows[position], position % len(self._places)
        before = self._copied[place]
        if before is not None:
            before.synchronize()
        staged = self._places[place][: len(rows)]
        torch.index_select(part.inputs, 0, rows, out=staged)
        with torch.cuda.stream(self._stream):
            inputs = staged.to(part.device, non_blocking=True)
            targets = part.targets[rows.to(part.device)]
            copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
            copied.record(self._stream)
        self._copied[place] = copied
        return inputs, targets, copied


def _arrived(made: tuple[Tensor, Tensor, torch.cuda.Event]) -> Batch:
    """What works on the batch waits for its copy, on the GPU; and its memory is given away only after that work."""
    inputs, targets, copied = made
    current = torch.cuda.current_stream(inputs.device)
    current.wait_event(copied)
    inputs.record_stream(current)
    targets.record_stream(current)
    return inputs, targets
