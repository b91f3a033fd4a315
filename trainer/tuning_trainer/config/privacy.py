"""Settings of differential privacy."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from tuning_trainer.config.base import Section


class Privacy(Section):
    """Differentially private training (DP-SGD; Abadi et al., 2016), by opacus: what is learned from any one training
    sample is bounded, by (epsilon, delta). Set `noise`, `max_epsilon` or both.

    Each sample's gradient is clipped and noise is added to their sum; batches are drawn by Poisson sampling, so
    `batch_size` is their mean size and an epoch as many of them as make the training part once. The epsilon that was
    spent (by Renyi accounting) is reported as the metric `epsilon`. It is the epsilon of one training:
    **a study spends more than one**. Its trials learn from the same samples, so what the study as a whole reveals
    (which parameters are best, the metrics in its status) is bounded by no trial's epsilon alone; by simple composition
    it is at most their sum, over all trials, replicates and the final run. Statistics of the data (means, categories,
    vocabularies), the validation and the test part are not protected. Batch normalisation and other layers that mix
    samples are refused before the training.
    """

    noise: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Deviation of the noise, as a multiple of `clip`; null: with `max_epsilon`, as much as spends it in `train.epochs`
    epochs, else no privacy.
    """
    clip: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Longest gradient of one sample."""
    max_epsilon: Annotated[float, Field(gt=0, le=1000)] | None = None
    """The training ends before an epoch that would spend more."""
    target_delta: Annotated[float, Field(gt=0, lt=1)] = 1e-5
    """The delta; below one over the number of training samples."""
    reproducible: bool = False
    """Draw noise and batches by `seed`, for tests: whoever knows the seed can take the noise away again. Otherwise they
    are drawn anew each time, by the system's random numbers.
    """

    @property
    def wanted(self) -> bool:
        """Whether the training is private."""
        return self.noise is not None or self.max_epsilon is not None

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Privacy:
        fields = type(self).model_fields
        # What differs from its default, not what was written: a whole dump of the settings can be read again.
        if not self.wanted and any(getattr(self, name) != field.default for name, field in fields.items()):
            raise ValueError("privacy has no effect without noise or max_epsilon; set one of them")
        return self
