"""Saves and loads the state of a training of one process or several: what differs between them is gathered, what is
shared out stays so.

One file is the checkpoint, written and read by the main process; the others get its content from there, and need not
see its directory unless the model is shared out.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tuning_trainer.config import SettingError
from tuning_trainer.engine.checkpoint import Checkpoints
from tuning_trainer.engine.parallel import Parallel, Sharded
from tuning_trainer.engine.shards import Shards

OWN = ("random", "loss_sum")
"""What of the loop's state is different in each process."""


class Keeper:
    """The checkpoints of one trial, for all its processes; all must call alike."""

    def __init__(self, checkpoints: Checkpoints, parallel: Parallel, *, device: torch.device) -> None:
        """Raises `SettingError` for shares that would have to be encrypted."""
        self._checkpoints = checkpoints
        self._parallel = parallel
        self._world = parallel.world
        self._device = device if self._world.size == 1 else torch.device("cpu")
        if isinstance(parallel, Sharded) and checkpoints.encrypted:
            raise SettingError(
                "encryption.key_file is set but runtime.parallel is 'fsdp', whose checkpoints cannot be encrypted; "
                "use ddp, or leave the key out"
            )

    def save(self, step: int, state: Mapping[str, Any]) -> Path | None:
        """Stores `state`. Raises OSError, in all processes, when the disk refuses."""
        if self._world.size == 1:
            return self._checkpoints.save(step, state)
        if self._checkpoints.directory is None:
            return None
        loop = dict(state["loop"])
        own = loop if self._parallel.name == "local_sgd" else {name: loop[name] for name in OWN}
        loop["processes"] = self._world.gather(own)
        whole = dict(state) | {"loop": loop}
        shards = self._shards(self._checkpoints.directory)
        if shards is not None:
            whole = shards.take(step, whole)
        path, problem = None, ""
        if self._world.main:
            try:
                path = self._checkpoints.save(step, whole)
            except OSError as error:
                problem = str(error)
            if shards is not None:
                shards.prune(file.name for file in self._checkpoints.files())
        path, problem = self._world.from_main((path, problem))
        if problem:
            raise OSError(problem)
        return path

    def load(self) -> dict[str, Any] | None:
        """See `Checkpoints.load`."""
        state = self._checkpoints.load(self._device) if self._world.main else None
        return self._shared(state, self._checkpoints.directory)

    def inherit(self, parent: Path) -> dict[str, Any] | None:
        """See `Checkpoints.inherit`."""
        state = self._checkpoints.inherit(parent, self._device) if self._world.main else None
        return self._shared(state, parent)

    def _shared(self, state: dict[str, Any] | None, directory: Path | None) -> dict[str, Any] | None:
        """What the main process has read, as it is for this process."""
        state = self._world.from_main(state)
        if state is None or directory is None:
            return None
        if "shards" in state:
            shards = self._shards(directory)
            if shards is None:
                raise SettingError(
                    f"the checkpoint in {directory} is of a training with runtime.parallel fsdp; go on with that, in "
                    "at least two processes"
                )
            state = shards.put(state)
        loop = state["loop"]
        every = loop.pop("processes", None)
        if every is not None and len(every) == self._world.size:
            loop |= every[self._world.rank]
        elif every is not None or self._world.size > 1:
            self._redistribute(loop, every or [loop])
        return state

    def _redistribute(self, loop: dict[str, Any], every: list[dict[str, Any]]) -> None:
        """Another number of processes goes on: the sum of losses goes to the main one, random numbers begin anew in
        those that were not there.
        """
        total = sum(float(each["loss_sum"]) for each in every)
        loop["loss_sum"] = torch.tensor(total if self._world.main else 0.0)
        loop["random"] = every[min(self._world.rank, len(every) - 1)]["random"]
        if self._world.rank >= len(every):
            generator = torch.Generator()
            generator.manual_seed(hash((loop["progress"][2], self._world.rank)) % 2**63)
            loop["random"] = {"cpu": generator.get_state()}

    def _shards(self, directory: Path) -> Shards | None:
        if not isinstance(self._parallel, Sharded):
            return None
        return Shards(directory, world=self._world, mesh=self._parallel.mesh)
