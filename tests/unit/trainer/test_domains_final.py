"""Final runs of every kind of data: the test part is evaluated once, and the exported files give the same outputs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.samples.rated import write_ratings
from tests.samples.spoken import speakers, write_digits
from tests.unit.trainer.builders import a_config, a_session, ran, the_data
from tests.unit.trainer.test_folders import write_images
from tests.unit.trainer.test_graph import write_karate_club
from tuning_trainer import models
from tuning_trainer.data.layout import Layout


def ratings(root: Path) -> dict[str, Any]:
    return {"name": "ratings", "path": str(write_ratings(root / "rated"))}


def choices(root: Path) -> dict[str, Any]:
    return {**ratings(root), "feedback": "implicit", "items": str(root / "rated"), "split": {"by": "last"}}


def speech(root: Path) -> dict[str, Any]:
    path = write_digits(root / "spoken", speakers(6), words=("one", "six"))
    return {"name": "speech", "path": str(path), "mels": 8, "hop": 40.0}


def images(root: Path) -> dict[str, Any]:
    return {"name": "image_folder", "path": str(write_images(root / "images")), "image_height": 8}


CASES = {
    "graph convolution": (write_karate_club, {"name": "gcn", "width": 4}, "test_accuracy"),
    "graph attention": (write_karate_club, {"name": "gat", "width": 4, "heads": 2}, "test_accuracy"),
    "ratings": (ratings, {"name": "factorization", "width": 4}, "test_rmse"),
    "choices": (choices, {"name": "two_tower", "width": 4, "hidden": 4}, "test_ndcg_at_10"),
    "speech": (speech, {"name": "rnn", "width": 4}, "test_accuracy"),
    "images": (images, {"name": "lenet"}, "test_accuracy"),
}


@pytest.mark.parametrize(("data", "model", "metric"), CASES.values(), ids=CASES)
def test_a_final_run(tmp_path: Path, data: Any, model: dict[str, Any], metric: str) -> None:
    formats = ["onnx", "safetensors"] if model["name"] == "gat" else ["safetensors"]  # the exporter takes seconds
    settings = {"data": data(tmp_path), "model": model, "export": {"formats": formats}}
    config = a_config(settings, epochs=2)
    directory = tmp_path / "out"
    directory.mkdir()
    code, session = ran(config, a_session(directory, role="Final"))
    report = session.snapshot()
    assert (code, report.error) == (0, None)
    assert metric in report.final
    assert {"weights", "config", "card", *formats} <= report.artifacts.keys()
    described = json.loads((directory / report.artifacts["config"]).read_text())
    rebuilt = models.build(config.model, layout=Layout(**described["layout"]), outputs=described["outputs"])
    rebuilt.load_state_dict(torch.load(directory / report.artifacts["weights"], weights_only=True))
    part = the_data(config, final=True).test()
    assert torch.isfinite(rebuilt.eval()(part.inputs)).all()
