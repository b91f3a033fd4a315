"""The private step: gradients by sample, clipped, summed, noise added; and the account of what was spent."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.privacy import Privacy
from tuning_trainer.optim.light import light_step
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.privacy.batches import PoissonBatches


class Private(Optimizer):
    """Computes the gradients of a batch and steps, in place of `engine.backward.Backward` and an optimiser."""

    def __init__(
        self,
        privacy: Privacy,
        *,
        module: nn.Module,
        optimizer: Optimizer,
        loss: LossFunction,
        batches: PoissonBatches,
        epochs: int,
        micro_batch: int | None,
        seed: int | None,
        autocast: Callable[[], AbstractContextManager[object]],
    ) -> None:
        """With a `seed` the noise is that of the seed. Raises `SettingError` for an epsilon that cannot be kept to."""
        from opacus.accountants import RDPAccountant
        from opacus.grad_sample import GradSampleModule
        from opacus.optimizers import DPOptimizer

        _hush()
        self._privacy = privacy
        self._rate = batches.rate
        self._steps = len(batches)
        self._noise = _noise(privacy, rate=batches.rate, steps=epochs * len(batches))
        self._accountant: Any = RDPAccountant()
        self._micro = micro_batch
        self._loss = loss
        self._autocast = autocast
        self._generator = torch.Generator(next(module.parameters()).device)
        if seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(seed)
        self._keeps_noise = seed is not None
        self._inner = optimizer
        optimizer.step = light_step(optimizer)  # type: ignore[method-assign, assignment]  # what opacus calls
        self._model = GradSampleModule(module, loss_reduction="mean")
        self._private = DPOptimizer(
            optimizer,
            noise_multiplier=self._noise,
            max_grad_norm=privacy.clip,
            expected_batch_size=batches.expected,
            generator=self._generator,
        )
        super().__init__([{"params": group["params"]} for group in optimizer.param_groups], {})
        self.param_groups = optimizer.param_groups
        if privacy.max_epsilon is not None and self.exhausted():
            raise SettingError(
                f"privacy.max_epsilon is {privacy.max_epsilon:g}, but the first epoch would spend "
                f"{self._after_epoch():.3g}; use more noise, smaller batches or a larger max_epsilon"
            )

    def __call__(self, inputs: Tensor, targets: Tensor, count: int) -> Tensor:
        """Leaves the clipped gradients of a batch, whatever size it has; its mean loss."""
        if not len(targets):
            for weight in self._private.params:
                weight.grad_sample = weight.new_zeros((0, *weight.shape))
            return torch.zeros((), device=targets.device)
        size = self._micro or len(targets)
        parts = list(zip(torch.split(inputs, size), torch.split(targets, size), strict=True))
        total = torch.zeros((), device=targets.device)
        for index, (some, wanted) in enumerate(parts):
            with self._autocast():
                loss = self._loss(self._model(some), wanted)
            torch.autograd.backward(loss)
            total += loss.detach() * (len(wanted) / len(targets))
            if index < len(parts) - 1:  # clipped and added up at once: gradients by sample are large
                self._private.signal_skip_step(do_skip=True)
                self._private.step()
                self._private.zero_grad()
        return total

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Adds noise, steps and keeps account; as in torch, a closure computes the loss again."""
        loss = None if closure is None else closure()
        self._private.step()
        self._private.zero_grad()
        self._accountant.step(noise_multiplier=self._noise, sample_rate=self._rate)
        return loss

    def epsilon(self) -> float:
        """What was spent so far."""
        return float(self._accountant.get_epsilon(delta=self._privacy.target_delta))

    def exhausted(self) -> bool:
        """Whether one more epoch would spend more than `privacy.max_epsilon`."""
        return self._privacy.max_epsilon is not None and self._after_epoch() > self._privacy.max_epsilon

    def state_dict(self) -> dict[str, Any]:
        """That of the optimiser, the account, and with a seed the noise to come."""
        state = {**self._inner.state_dict(), "accountant": [list(entry) for entry in self._accountant.history]}
        return state | ({"noise": self._generator.get_state()} if self._keeps_noise else {})

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from such a state: what was spent stays spent."""
        state = dict(state_dict)
        self._accountant.history = [tuple(entry) for entry in state.pop("accountant")]
        noise = state.pop("noise", None)
        if noise is not None and self._keeps_noise:
            self._generator.set_state(noise.cpu())
        self._inner.load_state_dict(state)
        self.param_groups = self._inner.param_groups

    def inherit(self, state: Mapping[str, Any]) -> None:
        """Takes over the account of the training whose weights this one goes on from, whatever its optimiser was.
        Raises `SettingError` for one that kept none.
        """
        if "accountant" not in state:
            raise SettingError("privacy is asked for, but the weights to go on from were trained without it")
        self._accountant.history = [tuple(entry) for entry in state["accountant"]]

    def _after_epoch(self) -> float:
        ahead: Any = type(self._accountant)()
        ahead.history = [*self._accountant.history, (self._noise, self._rate, self._steps)]
        return float(ahead.get_epsilon(delta=self._privacy.target_delta))


def _hush() -> None:
    """Of opacus and torch, what is said of every private training and helps nobody."""
    warnings.filterwarnings("ignore", message="Full backward hook is firing")
    warnings.filterwarnings("ignore", message="Optimal order is the")


def _noise(privacy: Privacy, *, rate: float, steps: int) -> float:
    """`privacy.noise`, or as much as spends `max_epsilon` in all steps."""
    if privacy.noise is not None:
        return privacy.noise
    from opacus.accountants.utils import get_noise_multiplier

    wanted = privacy.max_epsilon or 0.0
    try:
        found = get_noise_multiplier(
            target_epsilon=wanted,
            target_delta=privacy.target_delta,
            sample_rate=rate,
            steps=steps,
            epsilon_tolerance=0.001,
        )
    except ValueError as error:
        raise SettingError(
            f"privacy.max_epsilon is {wanted:g}, which no noise reaches over {steps} steps ({error}); use a larger one"
        ) from None
    return float(found)
