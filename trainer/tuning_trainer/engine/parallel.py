"""How the processes of a trial train one model: torch's own DDP, FSDP2 or local SGD around it.

Batches stay those of the settings: each process has a share of every batch, and the step is the step of one process
with the whole batch (local SGD aside, whose processes train on their own between two averages).
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.runtime import Runtime
from tuning_trainer.engine.batch_norm import synchronise
from tuning_trainer.engine.world import World

ROOM_SHARE = 0.5
"""`auto` takes FSDP where weights, gradients and the state of the optimiser take more than this share of a GPU."""


class Parallel:
    """A model in one process. The base of what there is for several."""

    name = "none"
    retries = True
    """Whether a process may try a pass again by itself: no other waits for it in the middle of one."""

    def __init__(self, module: nn.Module, world: World) -> None:
        self.module = module
        self.world = world
        self.model: nn.Module = module
        """What training passes go through."""

    def part(self, last: bool) -> AbstractContextManager[object]:
        """The context of one part of a batch; gradients are exchanged in the `last`."""
        return contextlib.nullcontext()

    def after_step(self, step: int) -> None:
        """To be called after each step; `step` counts from 0."""

    def after_epoch(self) -> None:
        """To be called after each epoch, before anything is judged or kept."""

    def restore(self, step: int) -> None:
        """Goes on after `step` steps."""

    def whole(self, build: Callable[[], nn.Module]) -> nn.Module | None:
        """The whole model in the main process, None in the others; `build` makes one of the kind. To be called by all
        processes.
        """
        return self.module if self.world.main else None

    def evaluated(self, model: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        """`model` for evaluation: every process has a share of the batch and gets all outputs."""
        world = self.world
        if world.size == 1:
            return model

        def outputs(inputs: Tensor) -> Tensor:
            own = inputs[world.share(len(inputs))]
            return world.join(model(own if len(own) else inputs[:1]), len(inputs))

        return outputs


class Replicated(Parallel):
    """Every process has the whole model, in torch's DDP."""

    def __init__(self, module: nn.Module, world: World) -> None:
        super().__init__(module, world)
        self._ddp = _ddp(module)
        self.model = self._ddp

    def part(self, last: bool) -> AbstractContextManager[object]:
        """See `Parallel`."""
        return contextlib.nullcontext() if last else self._ddp.no_sync()


class DistributedData(Replicated):
    """DDP: gradients are averaged while they are computed."""

    name = "ddp"

    def __init__(self, module: nn.Module, world: World) -> None:
        self.retries = not synchronise(module)
        super().__init__(module, world)


class LocalSgd(Replicated):
    """Post-local SGD (Lin et al., 2020): gradients are averaged for the first steps, later only among the processes of
    a machine, and the weights of all every so many steps.
    """

    name = "local_sgd"

    def __init__(self, module: nn.Module, world: World, *, every: int, warmup: int) -> None:
        super().__init__(module, world)
        import torch.distributed as dist
        from torch.distributed.algorithms.ddp_comm_hooks import post_localSGD_hook as hook
        from torch.distributed.algorithms.model_averaging.averagers import PeriodicModelAverager

        together = world.local_size if world.local_size < world.size else 1
        subgroup, _ = dist.new_subgroups(group_size=together)
        self._hook = hook.PostLocalSGDState(None, subgroup, warmup, post_local_gradient_allreduce=together > 1)  # type: ignore[no-untyped-call]
        self._ddp.register_comm_hook(self._hook, hook.post_localSGD_hook)
        self._averager = PeriodicModelAverager(every, warmup)

    def after_step(self, step: int) -> None:
        """See `Parallel`."""
        self._averager.average_parameters(self.module.parameters())

    def after_epoch(self) -> None:
        """See `Parallel`. Running statistics are averaged with the weights."""
        from torch.distributed.algorithms.model_averaging.utils import average_parameters

        average_parameters(self.module.parameters(), self._averager.process_group)
        floats = [buffer for buffer in self.module.buffers() if buffer.is_floating_point()]
        for buffer in floats:
            buffer.copy_(self.world.sum(buffer) / self.world.size)

    def restore(self, step: int) -> None:
        """See `Parallel`."""
        self._averager.step = step
        self._hook.iter = min(step, self._hook.start_localSGD_iter)


class Sharded(Parallel):
    """FSDP2: each process keeps a share of weights, gradients and the optimiser's state."""

    name = "fsdp"
    retries = False

    def __init__(self, module: nn.Module, world: World, *, device: torch.device) -> None:
        super().__init__(module, world)
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        synchronise(module)
        self.mesh = init_device_mesh(device.type, (world.size,))
        for block in _blocks(module):
            fully_shard(block, mesh=self.mesh)
        # The root too, or its weights would stay as they were where an evaluation had put others in their place.
        fully_shard(module, mesh=self.mesh, reshard_after_forward=True)

    def whole(self, build: Callable[[], nn.Module]) -> nn.Module | None:
        """See `Parallel`. The weights of all are brought together in the main process's host memory."""
        from torch.distributed.tensor import DTensor

        state = {}
        for name, value in self.module.state_dict().items():
            full = value.full_tensor() if isinstance(value, DTensor) else value
            if self.world.main:
                state[name] = full.detach().cpu()
        if not self.world.main:
            return None
        module = build()
        module.load_state_dict(state)
        return module.train(self.module.training)


def build(runtime: Runtime, module: nn.Module, world: World, *, device: torch.device) -> Parallel:
    """What the settings ask for; for a trial of one process the model as it is. To be called before the optimiser is
    made. Raises `SettingError` for what cannot be.
    """
    if world.size == 1:
        return Parallel(module, world)
    wanted = _automatic(module, device) if runtime.parallel == "auto" else runtime.parallel
    if wanted == "local_sgd":
        return LocalSgd(module, world, every=runtime.local_steps, warmup=runtime.local_warmup)
    if wanted != "fsdp":
        return DistributedData(module, world)
    if runtime.channels_last:
        raise SettingError(
            "runtime.channels_last is true but runtime.parallel is fsdp, which shares out contiguous weights; use ddp, "
            "or leave channels_last out"
        )
    return Sharded(module, world, device=device)


def _automatic(module: nn.Module, device: torch.device) -> str:
    if device.type != "cuda":
        return "ddp"
    needed = sum(4 * p.numel() * p.element_size() for p in module.parameters() if p.requires_grad)
    return "fsdp" if needed > ROOM_SHARE * torch.cuda.get_device_properties(device).total_memory else "ddp"


def _ddp(module: nn.Module) -> Any:
    from torch.nn.parallel import DistributedDataParallel

    if not any(p.requires_grad for p in module.parameters()):
        raise SettingError("runtime.parallel: the model has no weights to train; use one process")
    # Running statistics are synchronised by the norms themselves or once an epoch, not before each pass.
    named = inspect.signature(DistributedDataParallel.__init__).parameters
    switch = "forward_sync_buffers" if "forward_sync_buffers" in named else "broadcast_buffers"  # as it was called
    options: dict[str, Any] = {switch: False}
    return DistributedDataParallel(module, **options)


def _blocks(module: nn.Module) -> list[nn.Module]:
    """The parts that are gathered one at a time: those a library names, else the members of lists of larger parts."""
    named = set(getattr(module, "_no_split_modules", None) or ())
    found: list[nn.Module] = []
    held: set[nn.Module] = set()
    for parent in module.modules():
        for child in parent.children():
            block = type(child).__name__ in named if named else _is_block(parent, child)
            if block and child not in held and any(p.requires_grad for p in child.parameters()):
                found.append(child)
                held |= set(child.modules())
    return found


def _is_block(parent: nn.Module, child: nn.Module) -> bool:
    return isinstance(parent, nn.ModuleList | nn.Sequential) and any(True for _ in child.children())
