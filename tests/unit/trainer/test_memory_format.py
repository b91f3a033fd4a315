"""Weights that lie in another order train the same model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.unit.trainer.builders import a_config, a_final, a_session, a_trial, ran
from tuning_trainer.config import SettingError, TrainerConfig
from tuning_trial.environment import Objective

OBJECTIVES = (Objective("val_accuracy", True, 3),)
SMALL: dict[str, Any] = {"data": {"name": "digits"}, "train": {"epochs": 2, "batch_size": 64}}


def a_network(last: bool, **more: Any) -> TrainerConfig:
    model = {"name": "cnn", "width": 8}
    return a_config(SMALL | {"model": model, "runtime": {"channels_last": last, "threads": 1}} | more)


def test_the_values_are_those_of_the_usual_order() -> None:
    usual, other = (a_trial(a_network(last)) for last in (False, True))
    for trial in (usual, other):
        trial.train()
    one, two = (dict(trial.module.named_parameters()) for trial in (usual, other))
    assert any(value.is_contiguous(memory_format=torch.channels_last) and value.dim() == 4 for value in two.values())
    assert not all(value.is_contiguous() for value in two.values())
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, atol=2e-3, rtol=2e-3)


def test_a_stopped_training_goes_on_with_the_same_bits(tmp_path: Path) -> None:
    config = a_network(True)
    code, whole = ran(config, a_session(tmp_path / "whole", objectives=OBJECTIVES))
    assert code == 0
    codes = []
    for _ in range(20):
        code, pieces = ran(config, a_session(tmp_path / "pieces", stop_after=30, objectives=OBJECTIVES))
        codes.append(code)
        if code == 0:
            break
    assert codes[-1] == 0
    assert len(codes) > 1
    assert pieces.snapshot().final == whole.snapshot().final


def test_exports_and_compression_take_it(tmp_path: Path) -> None:
    smaller = {"channels": {"share": 0.5, "epochs": 1}, "quantize": {"bits": 8}}
    code, session = ran(a_network(True, export={"formats": ["safetensors", "onnx"]}), a_final(tmp_path))
    assert code == 0, session.snapshot().error
    assert {"weights", "safetensors", "onnx"} <= json.loads(session.snapshot().to_json())["artifacts"].keys()
    code, session = ran(a_network(True, compress=smaller), a_session(objectives=OBJECTIVES))
    assert code == 0, session.snapshot().error


def test_samples_that_are_no_images_are_refused() -> None:
    config = a_config({"data": {"name": "wine"}, "model": {"name": "mlp"}, "runtime": {"channels_last": True}})
    with pytest.raises(SettingError, match=r"runtime.channels_last is true, but a sample has the shape \[13\]"):
        a_trial(config)
