"""Brings the processes of a trial together, and apart again: the only place that starts torch.distributed."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch

from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trainer.config.runtime import Runtime
from tuning_trainer.engine.companions import Companions
from tuning_trainer.engine.failures import StoppedError
from tuning_trainer.engine.place import Place
from tuning_trainer.engine.watch import Watch, connection
from tuning_trainer.engine.world import World

MEET_SECONDS = 600
"""How long processes wait for each other at the beginning: images are pulled, nodes are added."""
_WORDS = ("gloo", "nccl", "connection closed", "connection reset", "connection was", "broken pipe", "timed out waiting")


class Joined:
    """This process's part in its trial. A trial of one process is joined without doing anything."""

    def __init__(self, config: TrainerConfig, *, asked: Callable[[], bool], fail: Callable[[str, str], int]) -> None:
        """`asked` says whether to stop; `fail` records the end of this trial and gives its exit code; it may be called
        from another thread. Raises `SettingError` for variables or settings that cannot be.
        """
        place = Place.read(os.environ)
        wanted = processes(config.runtime) if place is None else 1
        self.place = place or Place(0, wanted, 0, wanted)
        self.world = World()
        self._companions: Companions | None = None
        self._watch: Watch | None = None
        self._config = config
        self._asked = asked
        self._fail = fail
        self._started_here = place is None

    def meet(self, device: torch.device) -> None:
        """Waits for the others. NCCL between GPUs, gloo between hosts' memories."""
        place = self.place
        if place.size == 1:
            return
        import torch.distributed as dist

        if device.type == "cuda":
            torch.cuda.set_device(place.local_rank)
        store = self._store()
        self._wait_for_all(store)
        limit = timedelta(seconds=MEET_SECONDS)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        common = dist.PrefixStore("torch", store)  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=common, rank=place.rank, world_size=place.size, timeout=limit)
        group: Any = dist.new_group(backend="gloo", timeout=limit)
        self.world = World(place.rank, place.size, place.local_size, group)
        self._watch = Watch(
            connection(store), rank=place.rank, size=place.size, lost=self._lost, fail=self._fail_from_beside
        )

    def explain(self, error: Exception, reason: str, message: str) -> tuple[str, str]:
        """The reason and message that this process ends with: those of the process that failed first."""
        if self._watch is None:
            return reason, message
        if _is_of_the_connection(error):
            return self._watch.explain(message)
        return self._watch.tell(reason, message)

    def leave(self, *, orderly: bool) -> None:
        """Parts from the others; in an `orderly` end all are waited for, so that none loses the store."""
        if self._watch is not None:
            import torch.distributed as dist

            if orderly:
                dist.barrier(group=self.world.group)
            self._watch.finish()
            if orderly:
                dist.barrier(group=self.world.group)
                dist.destroy_process_group()
        if self._companions is not None:
            self._companions.end(patiently=orderly)

    def _store(self) -> Any:
        import torch.distributed as dist
        from torch.distributed.rendezvous import rendezvous

        if not self._started_here:
            store, _, _ = next(rendezvous("env://", timeout=timedelta(seconds=MEET_SECONDS)))
            return store
        store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)  # type: ignore[attr-defined]
        self._companions = Companions(self._config, size=self.place.size, port=store.port)
        return store

    def _wait_for_all(self, store: Any) -> None:
        """Until all are there. Raises `StoppedError` when told to stop before."""
        store.add("tuning/here", 1)
        deadline = time.monotonic() + MEET_SECONDS
        while (here := store.add("tuning/here", 0)) < self.place.size:
            lost = self._lost()
            if lost is not None:
                raise RuntimeError(f"{lost} before the training began")
            if self._asked():
                raise StoppedError("stopped before the training began")
            if time.monotonic() > deadline:
                raise RuntimeError(f"only {here} of {self.place.size} processes came within {MEET_SECONDS} s")
            time.sleep(0.05)

    def _lost(self) -> str | None:
        return None if self._companions is None else self._companions.lost()

    def _fail_from_beside(self, reason: str, message: str) -> int:
        code = self._fail(reason, message)
        if self._companions is not None:
            self._companions.end(patiently=False)
        return code


def processes(runtime: Runtime) -> int:
    """How many processes train on this machine. Raises `SettingError` for more than there are GPUs."""
    gpus = torch.cuda.device_count() if runtime.device != "cpu" and torch.cuda.is_available() else 0
    if runtime.processes == "auto":
        return max(1, gpus)
    if gpus and runtime.processes > gpus:
        raise SettingError(f"runtime.processes is {runtime.processes} but the trial sees {gpus} GPUs; use at most that")
    return runtime.processes


def _is_of_the_connection(error: Exception) -> bool:
    text = f"{type(error).__name__} {error}".lower()
    return isinstance(error, RuntimeError | OSError) and (
        "dist" in type(error).__name__.lower() or any(word in text for word in _WORDS)
    )
