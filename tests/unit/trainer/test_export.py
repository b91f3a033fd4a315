"""Exports: against safetensors' and onnxruntime's own reading, on real samples."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from tests.unit.trainer.builders import a_config, a_final, a_session, a_trial, ran, the_data
from tuning_trainer import models
from tuning_trainer.artifacts.onnx_file import check_onnx
from tuning_trainer.config import SettingError
from tuning_trainer.engine import training as training_module
from tuning_trainer.engine.export import Export
from tuning_trial import Session

WEIGHTS = {"checkpoint", "weights", "config", "card", "card_json"}


def exported(directory: Path, *formats: str, **parameters: Any) -> tuple[Any, Session]:
    """A final run whose study asks for `formats`."""
    config = a_config(**parameters)
    code, session = ran(config, a_final(directory, final={"export": list(formats)}, study="s", trial="s-1"))
    assert code == 0, session.snapshot().error
    return config, session


def test_a_final_run_exports_what_the_study_asks_for(tmp_path: Path) -> None:
    config, session = exported(tmp_path, "Safetensors", "ONNX", data="digits", model="lenet", norm="batch", ema=0.9)
    files = session.snapshot().artifacts
    assert files.keys() == {*WEIGHTS, "safetensors", "onnx", "evaluation"}
    state = torch.load(tmp_path / files["weights"], weights_only=True)
    tensors = load_file(tmp_path / files["safetensors"])
    assert tensors.keys() == state.keys()
    assert all(torch.equal(tensors[name], state[name]) for name in state)
    data = the_data(config, final=True)
    model = models.build(config.model, layout=data.layout, outputs=10)
    model.load_state_dict(tensors)
    model.eval()
    onnx.checker.check_model(onnx.load(tmp_path / files["onnx"]), full_check=True)
    running = onnxruntime.InferenceSession(tmp_path / files["onnx"], providers=["CPUExecutionProvider"])
    for count in (1, 3, 57):
        samples = data.test().inputs[:count]
        with torch.no_grad():
            wanted = model(samples).numpy()
        (got,) = running.run(["outputs"], {"inputs": samples.numpy()})
        assert got.shape == (count, 10)
        np.testing.assert_allclose(got, wanted, atol=1e-5)
    predicted = running.run(None, {"inputs": data.test().inputs.numpy()})[0].argmax(1)
    accuracy = float((torch.from_numpy(predicted) == data.test().targets).float().mean())
    assert session.snapshot().final["test_accuracy"] == pytest.approx(accuracy)


ASKED = """
import os, sys
class Asked:
    @staticmethod
    def find_spec(name, *_):
        if name == "onnxruntime":
            print("asked with", os.environ.get("ORT_DISABLE_TELEMETRY"))
sys.meta_path.insert(0, Asked)
import torch
from tuning_trainer.artifacts.onnx_file import check_onnx
check_onnx(torch.nn.Linear(2, 2), torch.zeros(3, 2))
"""


def test_the_runtime_is_told_to_report_nothing_before_it_is_loaded() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    said = subprocess.run(
        [sys.executable, "-c", ASKED], env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert set(said.splitlines()) == {"asked with 1"}


def test_settings_may_ask_for_formats_and_for_every_trial(tmp_path: Path) -> None:
    asked = {"export": {"formats": ["safetensors"], "always": True}}
    code, session = ran(a_config(asked), a_session(tmp_path))
    assert code == 0
    assert session.snapshot().artifacts.keys() == {*WEIGHTS, "safetensors"}
    assert ran(a_config({"export": {"formats": ["safetensors"]}}), a_session(tmp_path / "search"))[
        1
    ].snapshot().artifacts.keys() == {"checkpoint"}


def test_the_card_says_from_what_the_model_was_made(tmp_path: Path) -> None:
    file = tmp_path / "flowers.csv"
    rows = [f"{i % 7},{i % 5},{'ab'[i % 2]}" for i in range(60)]
    file.write_text("x,y,kind\n" + "\n".join(rows) + "\n")
    settings = {
        "data": {"name": "table", "path": str(file), "target": "kind"},
        "export": {"license": "Apache-2.0", "description": "Tells flowers | apart."},
    }
    session = a_final(tmp_path / "trial", study="s", trial="s-7", parameters={"lr": 0.01})
    code, session = ran(a_config(settings, lr=0.01), session)
    assert code == 0
    files = session.snapshot().artifacts
    card = json.loads((tmp_path / "trial" / files["card_json"]).read_text())
    assert card["name"] == "s-7"
    assert card["license"] == "Apache-2.0"
    assert card["parameters"] == {"lr": 0.01}
    assert card["settings"]["optimizer"]["lr"] == 0.01
    assert card["data"]["train"] == 48
    assert card["data"]["sha256_of_file"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert card["metrics"] == session.snapshot().final
    assert card["versions"]["torch"] == version("torch")
    assert card["model"]["weights"] == sum(
        value.numel() for value in torch.load(tmp_path / "trial" / files["weights"], weights_only=True).values()
    )
    text = (tmp_path / "trial" / files["card"]).read_text()
    assert text.startswith('---\nlicense: "Apache-2.0"\n')
    assert "# s-7\n\nTells flowers | apart." in text
    assert "| test_accuracy |" in text


def test_the_hash_of_the_samples_tells_other_data(tmp_path: Path) -> None:
    hashes = []
    for number, parameters in enumerate(({}, {"lr": 0.5}, {"data.split.seed": 1})):
        ran(a_config(**parameters), a_final(tmp_path / str(number)))
        card = json.loads((tmp_path / str(number) / "model_card.json").read_text())
        hashes.append(card["data"]["sha256_of_training_samples"])
    assert hashes[0] == hashes[1] != hashes[2]


class _Loop(nn.Module):
    """Decides by the values: no graph holds it."""

    def __init__(self, **_: Any) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        values: Tensor = self.layer(inputs)
        while float(values.abs().sum()) > 1e9:
            values = values / 2
        return values


def test_a_model_that_onnx_cannot_hold_is_refused_before_it_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(training_module.models, "build", lambda *a, **k: _Loop())
    code, session = ran(a_config(), a_final(tmp_path, final={"export": ["ONNX"]}))
    error = session.snapshot().error
    assert error is not None
    assert (code, error.reason) == (42, "InvalidSetting")
    assert "export.formats has onnx, but this model cannot be exported to it" in error.message
    assert "epoch 1/" not in capsys.readouterr().out


class _Moody(nn.Module):
    """Gives other outputs in a graph than outside of one."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        values: Tensor = self.layer(inputs)
        return values + 1 if torch.compiler.is_compiling() else values


def test_an_export_with_other_outputs_is_refused() -> None:
    with pytest.raises(SettingError, match="onnxruntime's outputs differ by up to 1"):
        check_onnx(_Moody(), torch.randn(5, 4))


@pytest.mark.parametrize("step", ["weights", "formats", "card"])
def test_a_disk_that_is_full_while_exporting_is_told_and_the_checkpoint_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def full(self: Export) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Export, step, full)
        code, session = ran(a_config(), a_final(tmp_path, final={"export": ["Safetensors"]}))
    error = session.snapshot().error
    assert error is not None
    assert (code, error.reason) == (1, "ExportFailed")
    assert "No space left on device; the checkpoint is whole" in error.message
    again = ran(a_config(), a_final(tmp_path, final={"export": ["Safetensors"]}))[1]
    assert again.snapshot().done
    assert (tmp_path / "model.safetensors").is_file()


def test_the_check_changes_nothing_of_the_training() -> None:
    trial = a_trial(a_config(dropout=0.3))
    before = torch.get_rng_state()
    check_onnx(trial.module, the_data(a_config()).train.inputs[:5])
    assert torch.equal(torch.get_rng_state(), before)
    assert trial.module.training
