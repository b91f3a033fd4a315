"""Programs of other frameworks are trials by the contract alone: each in an environment that holds nothing of ours but
the SDK, as in its image.
"""

import json
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.local.environments import python_with
from tests.local.studies import tuning, wait_for

ROOT = Path(__file__).parents[2]
FRAMEWORKS = ROOT / "examples" / "frameworks"
NAMES = sorted(folder.name for folder in FRAMEWORKS.iterdir())


@dataclass(frozen=True)
class Image:
    """What the Dockerfile puts together, without the container: the folder, and the interpreter in it."""

    folder: Path
    python: Path

    @property
    def study(self) -> dict[str, Any]:
        found: dict[str, Any] = yaml.safe_load((self.folder / "study.yaml").read_text())
        return found

    @property
    def container(self) -> dict[str, Any]:
        found: dict[str, Any] = self.study["spec"]["trial"]["template"]["spec"]["template"]["spec"]["containers"][0]
        return found


@pytest.fixture(params=NAMES)
def image(request: pytest.FixtureRequest, tmp_path: Path) -> Image:
    source = FRAMEWORKS / request.param
    folder = tmp_path / "trial"
    folder.mkdir()
    shutil.copy(source / "digits.py", folder)
    (folder / "tuning_trial").symlink_to(ROOT / "trainer" / "tuning_trial")
    python = python_with(source.name, source / "requirements.lock")
    study = (source / "study.yaml").read_text()
    assert study.count("command: [python, ") == 1
    (folder / "study.yaml").write_text(study.replace("command: [python, ", f"command: [{python}, "))
    return Image(folder, python)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_is_a_good_study(name: str, tmp_path: Path) -> None:
    study = FRAMEWORKS / name / "study.yaml"
    checked = tuning(tmp_path, "check", study)
    assert (checked.code, checked.out) == (0, f"{study}: {name}-digits: good\n")


@pytest.mark.parametrize("name", NAMES)
def test_the_image_holds_the_sdk_the_program_and_what_is_locked(name: str) -> None:
    lines = (FRAMEWORKS / name / "Dockerfile").read_text().splitlines()
    copied = [line.split()[1] for line in lines if line.startswith("COPY ")]
    assert copied == [
        f"examples/frameworks/{name}/requirements.lock",
        "trainer/tuning_trial",
        f"examples/frameworks/{name}/digits.py",
    ]
    assert all((ROOT / path).exists() for path in copied)


def test_rungs_are_judged_and_promoted_trials_go_on(image: Image) -> None:
    done = tuning(image.folder, "run", "study.yaml", "--trials", 3, "--output", "json", "--no-report")
    assert done.code == 0, done.err
    assert done.status["state"] == "Succeeded"
    assert done.status["counts"]["failed"] == 0
    assert done.status["rungs"][0]["reached"] == 3
    assert done.status["best"]["values"]["val_accuracy"] > 0.8
    runs = image.folder / ".tuning" / done.json["metadata"]["name"] / "runs"
    went_on = [log for log in runs.glob("*/attempt-[1-9].log") if "goes on after epoch" in log.read_text()]
    assert went_on
    for log in went_on:
        assert steps(log.parent / "checkpoint") == list(range(1, len(steps(log.parent / "checkpoint")) + 1))


def test_a_signal_ends_it_with_a_checkpoint_from_which_it_goes_on(image: Image, tmp_path: Path) -> None:
    checkpoint = tmp_path / "checkpoint"
    first = start(image, checkpoint, epochs=100_000)
    wait_for(lambda: first.poll() is not None or len(steps(checkpoint)) >= 2)
    first.send_signal(signal.SIGTERM)
    out, _ = first.communicate(timeout=60)
    assert first.returncode == 143, out
    reached = steps(checkpoint)[-1]
    assert not json.loads((tmp_path / "report.json").read_text()).get("done")
    second = start(image, checkpoint, epochs=reached + 1)
    out, _ = second.communicate(timeout=120)
    assert second.returncode == 0, out
    assert f"goes on after epoch {reached}\n" in out
    assert steps(checkpoint) == list(range(1, reached + 2))
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["done"], report["step"]) == (True, reached + 1)


def start(image: Image, checkpoint: Path, *, epochs: int) -> "subprocess.Popen[str]":
    environment = {
        "TUNING_TRIAL": "digits-0",
        "TUNING_PARAMETERS": json.dumps({"epochs": epochs}),
        "TUNING_OBJECTIVES": json.dumps(image.study["spec"]["objectives"]),
        "TUNING_CHECKPOINT_DIR": str(checkpoint),
        "TUNING_TERMINATION_FILE": str(checkpoint.with_name("report.json")),
    }
    return subprocess.Popen(
        [image.python, "digits.py"],
        cwd=image.folder,
        env=os.environ | given(image) | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def given(image: Image) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in image.container.get("env", ())}


def steps(checkpoint: Path) -> list[int]:
    """Of the learning curve; its last line may be half written."""
    curve = checkpoint / "curve.jsonl"
    lines = curve.read_text().splitlines(keepends=True) if curve.exists() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("\n")]
