"""A table with fewer columns: the best ones, or their principal components; learned from the training rows only.

scikit-learn is imported only here, where it is used: it takes seconds.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tuning_trainer.config.errors import SettingError
from tuning_trainer.config.reduce import Reduce
from tuning_trainer.data.source import Encoding, Rows, Source


@dataclass(frozen=True, slots=True)
class Reduced:
    """Another `Source` of numbers [N, F], with fewer of them."""

    source: Source
    reduce: Reduce

    @property
    def targets(self) -> npt.NDArray[Any]:
        """See `Source`."""
        return self.source.targets

    @property
    def classes(self) -> tuple[str, ...] | None:
        """See `Source`."""
        return self.source.classes

    def learn(self, rows: Rows) -> Encoding:
        """The encoding of the other source, then the choice and the components of the training `rows`. Raises
        `SettingError` for more of them than there can be.
        """
        encoding = self.source.learn(rows)
        samples = encoding.encode(rows).astype(np.float64)
        steps: list[Any] = []
        described: dict[str, Any] = {}
        if self.reduce.select is not None:
            chosen = _selected(self.reduce, samples, self.targets[rows], classes=self.classes is not None)
            samples = samples[:, chosen]
            steps.append(lambda values: values[:, chosen])
            described["selected"] = chosen.tolist()
        if self.reduce.pca is not None or self.reduce.pca_variance is not None:
            pca = _components(self.reduce, samples)
            steps.append(pca.transform)
            described["pca"] = {
                "mean": pca.mean_.tolist(),
                "components": pca.components_.tolist(),
                "variance": pca.explained_variance_.tolist(),
                "whiten": self.reduce.whiten,
            }

        def after(encode: Callable[[Any], npt.NDArray[Any]]) -> Callable[[Any], npt.NDArray[np.float32]]:
            def reduced(wanted: Any) -> npt.NDArray[np.float32]:
                values = encode(wanted).astype(np.float64)
                for step in steps:
                    values = step(values)
                return np.ascontiguousarray(values, dtype=np.float32)

            return reduced

        return replace(
            encoding,
            encode=after(encoding.encode),
            encode_others=after(encoding.encode_others) if encoding.encode_others else None,
            description=encoding.description | {"reduce": described},
        )


def _selected(
    reduce: Reduce, samples: npt.NDArray[np.float64], targets: npt.NDArray[Any], *, classes: bool
) -> npt.NDArray[np.int64]:
    """The places of the columns that are kept, rising."""
    columns = samples.shape[1]
    assert reduce.select is not None
    if reduce.select > columns:
        raise SettingError(f"data.reduce.select is {reduce.select}, but the data has {columns} columns; use fewer")
    from sklearn import feature_selection as selection

    if reduce.score == "f":
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constant columns, which come last
            scores, _ = (selection.f_classif if classes else selection.f_regression)(samples, targets)
    else:
        by = selection.mutual_info_classif if classes else selection.mutual_info_regression
        scores = by(samples, targets, random_state=0)
    ordered = np.argsort(-np.nan_to_num(scores, nan=-1.0), kind="stable")
    return np.sort(ordered[: reduce.select]).astype(np.int64)


def _components(reduce: Reduce, samples: npt.NDArray[np.float64]) -> Any:
    most = min(samples.shape)
    if reduce.pca is not None and reduce.pca > most:
        raise SettingError(
            f"data.reduce.pca is {reduce.pca}, but {samples.shape[0]} training samples of {samples.shape[1]} columns "
            f"have {most} components; use fewer"
        )
    from sklearn.decomposition import PCA

    wanted = reduce.pca if reduce.pca is not None else reduce.pca_variance
    return PCA(n_components=wanted, whiten=reduce.whiten, svd_solver="full").fit(samples)
