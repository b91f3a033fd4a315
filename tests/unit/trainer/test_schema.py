"""The table of settings, its checked-in copy, and the reference."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tuning_trainer
from tuning_trainer.cli import main
from tuning_trainer.config import reference, schema
from tuning_trainer.config.names import catalogue

ROOT = Path(tuning_trainer.__file__).parents[2]
COPY = ROOT / "operator/tuning_operator/api/trainer_settings.json"
REFERENCE = ROOT / "docs/reference/trainer.md"


def test_the_checked_in_copy_is_the_truth() -> None:
    assert schema.drift(COPY) is None


def test_the_reference_is_the_truth() -> None:
    assert reference.drift(REFERENCE) is None


def test_drift_is_told_with_the_remedy(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "settings.json"
    assert main(["--schema", "--check", str(path)]) == 1
    assert f"--schema --write {path}" in capsys.readouterr().err
    assert main(["--schema", "--write", str(path)]) == 0
    assert main(["--schema", "--check", str(path)]) == 0
    path.write_text("{}")
    assert main(["--schema", "--check", str(path)]) == 1


def test_no_short_name_is_ambiguous() -> None:
    assert {name: paths for name, paths in catalogue().names.items() if len(paths) > 1} == {}


def test_a_row_says_what_a_study_needs_to_know() -> None:
    document = schema.document()
    assert document["names"]["lr"] == "optimizer.lr"
    assert document["names"]["optimizer"] == "optimizer.name"
    assert document["names"]["seed"] == "seed"
    momentum = document["settings"]["optimizer.momentum"]
    assert momentum["type"] == ["number"]
    assert (momentum["minimum"], momentum["exclusiveMaximum"]) == (0, 1)
    assert momentum["members"] == {"optimizer": ["muon", "rmsprop", "schedule_free_sgd", "sgd"]}
    batch = document["settings"]["train.batch_size"]
    assert (batch["type"], batch["minimum"], batch["choices"]) == (["integer", "string"], 1, ["full"])
    assert document["settings"]["data.name"]["required"]
    assert not document["settings"]["optimizer.name"]["required"]


def test_every_setting_is_described() -> None:
    rows = schema.document()["settings"]
    assert [path for path, row in rows.items() if not row["description"].endswith(".")] == []


def test_settings_need_no_torch() -> None:
    script = (
        "import sys; from tuning_trainer.config import resolve, schema; resolve({'data': 'digits'}, {}); schema.text();"
        "print([m for m in ('torch', 'numpy', 'sklearn', 'torchmetrics') if m in sys.modules])"
    )
    environment = {"PYTHONPATH": str(ROOT / "trainer")}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
