"""The one metric by which a training judges itself: for patience, for the best weights, for the schedule on plateau."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.train import Train
from tuning_trial.environment import Objective

_LOWER_IS_BETTER = frozenset(
    {"train_loss", "val_loss", "val_mse", "val_mae", "val_rmse", "val_log_loss", "val_perplexity"}
    | {"val_bits_per_byte", "val_calibration_error"}
)


class Watched:
    """`train.monitor`, else the first objective of the study that is measured on validation data, else val_loss; a
    final run has no validation data and watches train_loss.
    """

    def __init__(self, train: Train, objectives: Iterable[Objective], *, validates: bool = True) -> None:
        first = next((o for o in objectives if o.metric.startswith("val_")), None)
        self.metric = train.monitor or (first.metric if first else "val_loss")
        self.maximize = self.metric not in _LOWER_IS_BETTER
        if first is not None and first.metric == self.metric:
            self.maximize = first.maximize
        if not validates:
            self.metric, self.maximize = "train_loss", False

    def value(self, metrics: Mapping[str, float]) -> float:
        """Its value in one evaluation. Raises `SettingError` for a metric that is not reported."""
        if self.metric not in metrics:
            raise SettingError(
                f"train.monitor is {self.metric!r}, which is not reported; use one of {', '.join(metrics)}"
            )
        return metrics[self.metric]

    def gain(self, metrics: Mapping[str, float]) -> float:
        """The same, the larger the better."""
        value = self.value(metrics)
        return value if self.maximize else -value
