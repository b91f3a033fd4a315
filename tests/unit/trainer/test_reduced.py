"""Feature selection and principal components against scikit-learn's pipelines, learned from the training part only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import PCA
from sklearn.feature_selection import SelectKBest, f_classif, f_regression, mutual_info_classif
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tests.unit.trainer.builders import a_config, a_final, ran, the_data
from tuning_trainer.config import SettingError
from tuning_trainer.data.sklearn_sets import load
from tuning_trainer.data.split import split


def the_parts(data: str, **settings: Any) -> tuple[Any, Any, Any, Any]:
    """What the trainer gives its model for training and validation, and the raw values of both."""
    config = a_config({"data": {"name": data, "reduce": settings}})
    prepared = the_data(config)
    source: Any = load(data)
    parts = split(source.targets, config.data.split, classes=source.classes is not None)  # type: ignore[arg-type]
    assert prepared.validation is not None
    return prepared.train.inputs.numpy(), prepared.validation.inputs.numpy(), source, parts


@pytest.mark.parametrize(
    ("data", "settings", "steps"),
    [
        pytest.param("breast_cancer", {"select": 7}, [SelectKBest(f_classif, k=7)], id="selection"),
        pytest.param("diabetes", {"select": 4}, [SelectKBest(f_regression, k=4)], id="of a regression"),
        pytest.param("wine", {"pca": 5}, [PCA(5, svd_solver="full")], id="components"),
        pytest.param("wine", {"pca_variance": 0.8}, [PCA(0.8, svd_solver="full")], id="a share of the variance"),
        pytest.param(
            "breast_cancer",
            {"select": 12, "pca": 3, "whiten": True},
            [SelectKBest(f_classif, k=12), PCA(3, whiten=True, svd_solver="full")],
            id="both",
        ),
        pytest.param(
            "iris",
            {"select": 2, "score": "mutual_information"},
            [SelectKBest(lambda x, y: mutual_info_classif(x, y, random_state=0), k=2)],
            id="mutual information",
        ),
    ],
)
def test_it_is_scikit_learns_pipeline_of_the_training_part(data: str, settings: Any, steps: list[Any]) -> None:
    train, validation, source, parts = the_parts(data, **settings)
    pipeline = make_pipeline(StandardScaler(), *steps)
    wanted = pipeline.fit_transform(source.values[parts.train], source.targets[parts.train])
    np.testing.assert_allclose(train, wanted, atol=2e-4)
    np.testing.assert_allclose(validation, pipeline.transform(source.values[parts.validation]), atol=2e-4)


def test_constant_columns_are_never_chosen(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    rows = [f"7,{i},{i * i % 11},{'ab'[i % 2]}" for i in range(60)]
    file.write_text("same,x,y,kind\n" + "\n".join(rows) + "\n")
    data = {"name": "table", "path": str(file), "target": "kind", "reduce": {"select": 2}}
    assert the_data(a_config({"data": data})).description["encoding"]["reduce"]["selected"] == [1, 2]


def test_what_was_learned_stands_beside_the_weights(tmp_path: Path) -> None:
    data = {"name": "wine", "reduce": {"select": 6, "pca": 2}}
    _, session = ran(a_config({"data": data}), a_final(tmp_path))
    described = json.loads((tmp_path / session.snapshot().artifacts["config"]).read_text())["data"]["encoding"][
        "reduce"
    ]
    assert len(described["selected"]) == 6
    assert np.array(described["pca"]["components"]).shape == (2, 6)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"select": 14}, "data.reduce.select is 14, but the data has 13 columns"),
        ({"pca": 14}, "data.reduce.pca is 14, but 106 training samples of 13 columns have 13 components"),
        ({"pca": 2, "pca_variance": 0.5}, "pca and pca_variance both say"),
    ],
    ids=str,
)
def test_more_than_there_are_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingError, match=words):
        the_data(a_config({"data": {"name": "wine", "reduce": settings}}))


def test_the_best_columns_are_enough_to_learn() -> None:
    parameters = {"data": "breast_cancer", "select": 8, "epochs": 8}
    assert ran(a_config(**parameters))[1].snapshot().final["val_auc"] >= 0.98
