"""The processes of one trial, as one of them sees the others. A trial of one process is a world of size 1, in which
nothing is sent.

What decides the course of the training (stops, saves, patience) must be decided alike everywhere: by `any` or
`from_main`. torch.distributed is imported only where there are others.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

T = TypeVar("T")

AGREE_SECONDS = 0.5
"""About as often the processes ask each other whether one was told to stop."""


@dataclass(frozen=True, slots=True)
class World:
    """This process among the `size` of its trial."""

    rank: int = 0
    size: int = 1
    local_size: int = 1
    """Processes on this machine."""
    group: ProcessGroup | None = None
    """Of all processes, for tensors in the memory of the host; None where there is only one."""

    @property
    def main(self) -> bool:
        """Whether this is the process that reports, saves and exports."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Which of `count` samples are for this process; may be none."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def most(self, count: int) -> int:
        """The largest share of `count` samples that a process has."""
        return max(count * (rank + 1) // self.size - count * rank // self.size for rank in range(self.size))

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum over all processes; `tensor` stays as it is."""
        if self.size == 1:
            return tensor
        import torch.distributed as dist

        total = tensor.detach().clone()
        dist.all_reduce(total)
        return total

    def any(self, flag: bool) -> bool:
        """Whether the flag is set anywhere."""
        return (self.size > 1 and self.largest([int(flag)])[0] > 0) or flag

    def largest(self, numbers: list[int]) -> list[int]:
        """The largest of each number over all processes."""
        import torch.distributed as dist

        told = torch.tensor(numbers)
        dist.all_reduce(told, op=dist.ReduceOp.MAX, group=self.group)
        found: list[int] = told.tolist()
        return found

    def from_main(self, value: T) -> T:
        """The main process's value, everywhere."""
        if self.size == 1:
            return value
        import torch.distributed as dist

        box = [value]
        dist.broadcast_object_list(box, src=0, group=self.group, device=torch.device("cpu"))
        return box[0]

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank; on others than the main one an empty list."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        found: list[Any] = [None] * self.size if self.main else []
        dist.gather_object(value, found if self.main else None, dst=0, group=self.group)
        return found

    def join(self, rows: Tensor, count: int) -> Tensor:
        """[share, ...] of every process -> [count, ...] on all."""
        if self.size == 1:
            return rows
        import torch.distributed as dist

        most = self.most(count)
        padded = rows.new_zeros(most, *rows.shape[1:])
        own = self.share(count)
        padded[: own.stop - own.start] = rows[: own.stop - own.start]
        found = [torch.empty_like(padded) for _ in range(self.size)]
        dist.all_gather(found, padded)
        ends = [count * rank // self.size for rank in range(self.size + 1)]
        return torch.cat([part[: ends[r + 1] - ends[r]] for r, part in enumerate(found)])


class Agreement:
    """Whether to stop, the same answer in all processes at the same step. Asked at every step, it asks the others about
    every half second: after as many steps as the main process made in that time.
    """

    def __init__(self, world: World, ask: Callable[[], bool]) -> None:
        self._world = world
        self._ask = ask
        self._steps = self._left = 1
        self._asked = time.monotonic()

    def __call__(self) -> bool:
        """One step was made; whether to stop after it."""
        self._left -= 1
        if self._left > 0:
            return False
        now = time.monotonic()
        pace = self._steps * AGREE_SECONDS / max(now - self._asked, 1e-3)
        wished = max(1, min(round(pace), 2 * self._steps)) if self._world.main else 0
        stop, self._steps = self._world.largest([int(self._ask()), wished])
        self._left, self._asked = self._steps, now
        return stop > 0


def stop_question(world: World, ask: Callable[[], bool]) -> Callable[[], bool]:
    """`ask`, or the agreement of several processes on it."""
    return ask if world.size == 1 else Agreement(world, ask)
