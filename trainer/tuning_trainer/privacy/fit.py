"""What private training cannot do, said before it begins, with what to write instead."""

from __future__ import annotations

from torch import nn

from tuning_trainer.config import TrainerConfig
from tuning_trainer.config.errors import SettingError
from tuning_trainer.data.prepared import Prepared
from tuning_trainer.optim.loss import LossFunction
from tuning_trainer.optim.weighted import WeightedMean
from tuning_trainer.tasks.classification import Classification
from tuning_trainer.tasks.regression import Regression


def check(config: TrainerConfig, *, data: Prepared, module: nn.Module, loss: LossFunction) -> None:
    """Raises `SettingError` for settings, data or layers that do not fit private training."""
    train = config.train
    if not isinstance(data.task, Classification | Regression) or data.tables or data.draw is not None:
        raise _refusal(
            f"data.name is {config.data.name!r}, whose samples depend on each other; use data of single ones"
        )
    bounded, mixed = "privacy.clip is what bounds gradients", "a sample must have a gradient of its own"
    for name, value, default, why in (
        ("train.l1", train.l1, 0.0, "optimizer.weight_decay keeps weights small too"),
        ("train.clip_norm", train.clip_norm, None, bounded),
        ("train.clip_value", train.clip_value, None, bounded),
        ("augment.mixup", config.augment.mixup, 0.0, mixed),
        ("augment.cutmix", config.augment.cutmix, 0.0, mixed),
        ("runtime.compile", config.runtime.compile, False, "opacus takes the model apart by sample"),
    ):
        if value != default:
            raise _refusal(f"{name} is {value}; leave it out ({why})")
    if config.runtime.precision == "fp16":
        raise _refusal("runtime.precision is 'fp16'; use bf16 or fp32")
    if isinstance(loss, WeightedMean):
        raise _refusal("loss.class_weights is 'balanced', which tells how many samples each class has; use none")
    if config.privacy.target_delta * len(data.train) >= 1:
        raise _refusal(
            f"privacy.target_delta is {config.privacy.target_delta:g}, but there are {len(data.train)} training "
            f"samples; it must be below {1 / len(data.train):.2g}"
        )
    check_layers(module)


def check_layers(module: nn.Module) -> None:
    """Raises `SettingError` for layers whose gradient of one sample cannot be told, by name and kind."""
    from opacus.grad_sample import GradSampleModule
    from opacus.validators import ModuleValidator

    wrong = []
    for name, layer in module.named_modules():
        own = any(weight.requires_grad for weight in layer.parameters(recurse=False))
        judge = ModuleValidator.VALIDATORS.get(type(layer))
        if (own and type(layer) not in GradSampleModule.GRAD_SAMPLERS) or (judge is not None and judge(layer)):
            wrong.append(
                f"{name} ({type(layer).__name__})" if name else f"{type(layer).__name__}, by weights of its own"
            )
    if wrong:
        raise _refusal(
            f"the model has layers that mix samples or cannot be taken apart by sample: {', '.join(wrong[:4])}; use "
            "norm layer or none, and linear, mlp, lenet or cnn"
        )


def _refusal(why: str) -> SettingError:
    return SettingError(f"privacy is asked for, but {why}")
