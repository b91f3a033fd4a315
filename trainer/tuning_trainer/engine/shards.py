"""Checkpoints of a model that no process holds as a whole: each writes its share, by torch.distributed.checkpoint.

The shares of one checkpoint are a directory beside its file. The file is written last and says what belongs to it, so
that shares without a file, or with other content than the file says, count as no checkpoint. Processes may be fewer or
more when the training goes on.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tuning_trainer.artifacts.store import flush
from tuning_trainer.engine.world import World

_SHARD = "shard of"
_CHUNK = 16 * 2**20


class Shards:
    """The shares in one checkpoint directory."""

    def __init__(self, directory: Path, *, world: World, mesh: Any) -> None:
        self._directory = directory
        self._world = world
        self._mesh = mesh

    def take(self, step: int, state: Mapping[str, Any]) -> dict[str, Any]:
        """Writes what of `state` is shared out; gives the rest, with what is needed to find it again. To be called by
        all processes. Raises OSError, in all of them, when the disk refuses one.
        """
        from torch.distributed import checkpoint as dcp

        pieces: dict[str, Any] = {}
        rest = _mapped(state, lambda path, leaf: _put_aside(pieces, path, leaf))
        name = f"shards-{step:012d}"
        temporary, final = self._directory / f".{name}.tmp", self._directory / name
        if self._world.main:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(final, ignore_errors=True)
        self._world.any(False)  # none writes before it is gone
        problem, group = "", self._world.group
        try:
            dcp.save(pieces, checkpoint_id=temporary, process_group=group)  # type: ignore[attr-defined]
        except Exception as error:  # torch wraps the errors of all processes
            problem = " ".join(str(error).split())[:300]
        if self._world.any(bool(problem)):
            if self._world.main:
                shutil.rmtree(temporary, ignore_errors=True)
            raise OSError(f"{final} cannot be written: {self._first(problem)}")
        if self._world.main:
            for file in temporary.iterdir():
                flush(file)
            temporary.rename(final)
        files = {file.name: _checksum(file) for file in sorted(final.iterdir())} if self._world.main else {}
        return dict(rest) | {"shards": {"directory": name, "files": files}}

    def put(self, state: Mapping[str, Any]) -> dict[str, Any]:
        """`state` with its shares read. To be called by all processes."""
        from torch.distributed import checkpoint as dcp

        pieces: dict[str, Any] = {}
        directory = self._directory / state["shards"]["directory"]
        whole = _mapped(state, lambda path, leaf: self._template(pieces, leaf))
        group = self._world.group
        dcp.load(pieces, checkpoint_id=directory, process_group=group)  # type: ignore[attr-defined]
        return dict(whole)

    def prune(self, kept: Iterator[str]) -> None:
        """Removes the shares of checkpoints whose files are gone; `kept` are the names of the files there are."""
        steps = {name.split("-")[1].split(".")[0] for name in kept}
        for directory in self._directory.glob("shards-*"):
            if directory.name.split("-")[1] not in steps:
                shutil.rmtree(directory, ignore_errors=True)

    def _template(self, pieces: dict[str, Any], leaf: Any) -> Any:
        if not isinstance(leaf, Mapping) or _SHARD not in leaf:
            return leaf
        from torch.distributed.tensor import Shard, zeros

        kind = getattr(torch, leaf["dtype"])
        tensor = zeros(leaf["shape"], dtype=kind, device_mesh=self._mesh, placements=[Shard(0)])
        pieces[leaf[_SHARD]] = tensor
        return tensor

    def _first(self, problem: str) -> str:
        import torch.distributed as dist

        found: list[str] = [""] * self._world.size
        dist.all_gather_object(found, problem, group=self._world.group)
        return next(each for each in found if each)


def check(directory: Path, state: Mapping[str, Any]) -> None:
    """Raises ValueError or OSError when the shares that `state` names are not those that were written with it."""
    shards = state.get("shards")
    if shards is None:
        return
    for name, checksum in shards["files"].items():
        if _checksum(directory / shards["directory"] / name) != checksum:
            raise ValueError(f"the checksum of {shards['directory']}/{name} is wrong")


def _put_aside(pieces: dict[str, Any], path: str, leaf: Any) -> Any:
    from torch.distributed.tensor import DTensor

    if not isinstance(leaf, DTensor):
        return leaf
    pieces[path] = leaf.detach()
    return {_SHARD: path, "shape": list(leaf.shape), "dtype": str(leaf.dtype).removeprefix("torch.")}


def _mapped(tree: Any, change: Callable[[str, Any], Any], path: str = "") -> Any:
    if isinstance(tree, Mapping) and _SHARD not in tree:
        return {key: _mapped(value, change, f"{path}/{key}") for key, value in tree.items()}
    if isinstance(tree, list | tuple) and not isinstance(tree, Tensor):
        return [_mapped(value, change, f"{path}/{index}") for index, value in enumerate(tree)]
    return change(path, tree)


def _checksum(path: Path) -> int:
    total = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            total = zlib.crc32(chunk, total)
    return total
