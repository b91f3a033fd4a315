"""Every example as it stands, for real; only fewer trials."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from tests.local.studies import Finished, Tuning, tuning
from tests.samples import beside, linked, patients, pictures, rated, spoken
from tests.unit.trainer import texts

EXAMPLES = Path(__file__).parents[2] / "examples"
STUDIES = sorted(EXAMPLES.glob("*.yaml"))
TRIALS = {
    "digits-lenet": 4,
    "shell-script": 16,
    "digits-asha": 9,
    "multi-objective": 12,
    "pbt": 8,
    "digits-structure": 1,
    "fine-tuning": 1,
    "photos": 1,
    "own-code": 1,
    "sealed": 1,
}
"""Enough to see what the example promises; 2 for all others."""
DATA: dict[str, Callable[[Path], object]] = {
    "movielens-two-tower": lambda folder: rated.write_ratings(folder / "ml-100k"),
    "cora-graph": lambda folder: linked.write_graph(folder / "cora", "cora"),
    "spoken-words": lambda folder: spoken.write_digits(
        folder / "spoken-words", spoken.speakers(12), words=("one", "two", "six")
    ),
    "own-table": patients.write_patients,
    "image-folders": lambda folder: pictures.write_pictures(folder / "pictures"),
    "kinds-of-text": lambda folder: texts.as_csv(folder / "texts.csv", texts.labelled(100)),
    "fine-tuning": beside.a_pretrained_model_and_texts,
    "photos": lambda folder: beside.write_photos(folder / "photos"),
    "sealed": lambda folder: beside.write_key(folder / "key"),
    "own-code": lambda folder: shutil.copy(EXAMPLES / "own_code.py", folder),
    "language-model": lambda folder: (folder / "book.txt").write_text(texts.documentation()[:30_000]),
}
"""What an example asks to put beside it."""


def run(example: Path, directory: Path) -> Finished:
    trials = TRIALS.get(example.stem, 2)
    if example.stem in DATA:
        example = Path(shutil.copy(example, directory))
        DATA[example.stem](directory)
    running = Tuning(directory, "run", example, "--trials", trials, "--output", "json", "--dir", directory / "ledger")
    return running.end(seconds=600)


def test_there_are_examples() -> None:
    assert len(STUDIES) >= 5


@pytest.mark.parametrize("example", STUDIES, ids=lambda path: path.stem)
def test_the_example_is_a_good_study(example: Path, tmp_path: Path) -> None:
    checked = tuning(tmp_path, "check", example)
    assert (checked.code, checked.out) == (0, f"{example}: {example.stem}: good\n")


def test_examples_that_need_a_cluster_are_good_studies(tmp_path: Path) -> None:
    checked = tuning(tmp_path, "check", EXAMPLES / "cluster")
    assert checked.code == 0, checked.out


@pytest.mark.parametrize("example", STUDIES, ids=lambda path: path.stem)
def test_the_example_runs_to_its_end_and_leaves_a_report(example: Path, tmp_path: Path) -> None:
    done = run(example, tmp_path)
    assert done.code == 0, done.err
    assert done.status["state"] == "Succeeded"
    assert done.status["counts"]["failed"] == 0
    asked_for_a_final_run = "final" in done.json["spec"]
    if asked_for_a_final_run:
        assert done.status["final"]["state"] == "Succeeded"
        assert any(name.startswith("test_") for name in done.status["final"]["metrics"])
        assert Path(done.json["files"]["weights"]).is_file()
    report = Path(done.json["files"]["report"]).read_text()
    one_alone = TRIALS.get(example.stem, 2) == 1  # there is nothing to compare
    assert report.count('class="plot"') >= (1 if one_alone else 4)
    assert report.count('id="plotly"') == 1
    if example.stem == "digits-lenet":
        assert {"safetensors", "onnx", "card"} <= done.status["final"]["artifacts"].keys()
        assert 'license: "Apache-2.0"' in Path(done.json["files"]["card"]).read_text()
    if example.stem == "cross-validation":
        metrics = done.status["best"]["metrics"]
        assert 0 <= metrics["val_accuracy_std"] <= 0.05
    if example.stem == "sealed":
        assert_only_the_key_opens_it(done, tmp_path / "key")
    if example.stem == "digits-asha":
        assert_it_climbed(done)
    if example.stem == "digits-lenet":
        # With this seed the fourth trial is a good one; the whole study finds better.
        assert done.status["best"]["values"]["val_accuracy"] >= 0.97


def assert_only_the_key_opens_it(done: Finished, key: Path) -> None:
    """Nothing that holds weights can be read without the key."""
    folder = Path(done.json["files"]["weights"]).parent
    sealed = {path.name for path in folder.iterdir() if path.suffix == ".enc"}
    assert {"model.pt.enc", "model.safetensors.enc", "model.onnx.enc"} <= sealed
    assert not {"model.pt", "model.safetensors", "model.onnx"} & {path.name for path in folder.iterdir()}
    decrypt = [sys.executable, "-m", "tuning_trainer", "--decrypt", folder / "model.onnx.enc", "--key-file", key]
    assert subprocess.run(decrypt, check=False).returncode == 0
    onnx.checker.check_model(onnx.load(folder / "model.onnx"))


def assert_it_climbed(done: Finished) -> None:
    """Promoted trials trained on from their checkpoints, and most were cheaper than a full training."""
    search = [trial for trial in done.json["trials"] if trial["spec"]["role"] == "Search"]
    for trial in search:
        runs = Path(done.json["files"]["report"]).parent / "runs" / f"{trial['spec']['number']:04d}"
        logs = [log.read_text() for log in sorted(runs.glob("attempt-*.log"))]
        if len(logs) < 2:
            continue  # it was never promoted; whether it is depends on who comes to a rung first
        assert any("goes on after epoch" in log for log in logs[1:])
        curve = [json.loads(line)["step"] for line in (runs / "checkpoint" / "curve.jsonl").read_text().splitlines()]
        assert curve == list(range(1, len(curve) + 1))
    assert sum(trial["status"]["rungs"][-1]["budget"] < 27 for trial in search) >= len(search) / 2
    assert done.status["rungs"][0]["reached"] == len(search)


def test_a_report_needs_no_network_and_can_be_made_again(tmp_path: Path) -> None:
    example = EXAMPLES / "shell-script.yaml"
    done = tuning(tmp_path, "run", example, "--trials", 3, "--no-report")
    assert done.code == 0
    again = tuning(tmp_path, "report", example, "--report", "out.html")
    assert (again.code, again.out) == (0, "out.html\n")
    page = (tmp_path / "out.html").read_text()
    assert not any(outside in page for outside in ("<script src", "<link", "<img", "@import"))
    assert len(page) < 2_500_000
    trials = page.count('<tr class="succeeded')
    assert trials == 3


def test_status_lists_what_ran_here(tmp_path: Path) -> None:
    tuning(tmp_path, "run", EXAMPLES / "shell-script.yaml", "--trials", 2, "--no-report")
    shown = tuning(tmp_path, "status")
    assert shown.code == 0
    assert shown.out.splitlines()[0].split() == ["NAME", "STATE", "TRIALS", "RUNNING", "FAILED", "BEST", "AGE"]
    assert shown.out.splitlines()[1].split()[:5] == ["shell-script", "Succeeded", "2", "0", "0"]
    as_json = json.loads(tuning(tmp_path, "status", EXAMPLES / "shell-script.yaml", "--output", "json").out)
    assert [study["metadata"]["name"] for study in as_json] == ["shell-script"]
    nothing = tuning(tmp_path, "status", "elsewhere")
    assert (nothing.code, nothing.err) == (2, "elsewhere: no study has run here yet; start one with: tuning run FILE\n")
