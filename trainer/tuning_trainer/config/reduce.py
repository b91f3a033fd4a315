"""Settings of what is left of the columns of a table before a model sees them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from tuning_trainer.config.base import Section


class Reduce(Section):
    """Fewer columns: first the best ones are chosen, then they are turned into principal components. Both are learned
    from the training part only, by scikit-learn, after numbers were standardised and texts made columns.
    """

    select: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Columns kept, those that tell most of the target by `score`; null: all."""
    score: Literal["f", "mutual_information"] = "f"
    """How a column is judged alone: by the F-test (linear), or by its mutual information with the target (any relation,
    slower).
    """
    pca: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    """Principal components kept; null: no principal component analysis, unless `pca_variance` is set."""
    pca_variance: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Instead of `pca`: as many components as have this share of the variance."""
    whiten: bool = False
    """Bring the components to the same variance."""

    @property
    def wanted(self) -> bool:
        """Whether anything is to be left out."""
        return self.select is not None or self.pca is not None or self.pca_variance is not None

    @model_validator(mode="after")
    def _one_size(self) -> Reduce:
        if self.pca is not None and self.pca_variance is not None:
            raise ValueError("pca and pca_variance both say how many components there are; keep one of them")
        return self
