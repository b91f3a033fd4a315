"""Several processes train what one trains: real ones, on loopback."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import tuning_trainer
from tests.unit.trainer.builders import a_config, a_session, ran
from tuning_trainer.config import SettingError
from tuning_trainer.config.runtime import Runtime
from tuning_trainer.data.parts import prepare
from tuning_trainer.engine import watch as watch_module
from tuning_trainer.engine.joining import processes
from tuning_trainer.engine.place import Place
from tuning_trainer.engine.trial import Trial
from tuning_trainer.engine.watch import Watch, connection
from tuning_trainer.engine.world import World
from tuning_trial import Report

ROOT = Path(__file__).parents[3]
SGD = {"name": "sgd", "lr": 0.05, "momentum": 0.9}


def settings(model: Any, train: dict[str, Any], *, data: str = "digits", **sections: Any) -> dict[str, Any]:
    return {"data": data, "model": model, "train": train, "optimizer": SGD} | sections


LENET: dict[str, Any] = settings({"name": "lenet", "norm": "batch"}, {"epochs": 2, "batch_size": 101})
CASES: dict[str, dict[str, Any]] = {
    "ddp, batch norm, batches that cannot be divided": LENET,
    "ddp, parts, weighted classes": settings(
        "mlp",
        {"epochs": 2, "batch_size": 50, "micro_batch": 7, "clip_norm": 1.0},
        data="breast_cancer",
        loss={"name": "cross_entropy", "class_weights": "balanced"},
    ),
    "ddp, batches of one": settings("mlp", {"epochs": 1, "batch_size": 1}, data="iris"),
    "ddp, a regression": settings("mlp", {"epochs": 3}, data="diabetes", optimizer="adam"),
    "fsdp, batch norm": LENET | {"runtime": {"parallel": "fsdp"}},
    "fsdp, average, clipped": settings(
        "transformer",
        {"epochs": 2, "batch_size": 64, "ema": 0.9, "clip_norm": 0.5, "clip_value": 0.1, "l1": 1e-4},
        data="iris",
        optimizer={"name": "adamw", "lr": 0.01},
        runtime={"parallel": "fsdp"},
    ),
    "fsdp, Muon": settings("transformer", {"epochs": 2}, data="iris", optimizer="muon", runtime={"parallel": "fsdp"}),
    "local SGD that averages every step": settings(
        "mlp",
        {"epochs": 2, "batch_size": 30},
        optimizer={"name": "sgd", "lr": 0.05},
        data="iris",
        runtime={"parallel": "local_sgd", "local_steps": 1},
    ),
}
"""What must come out as in one process, by the loss of each epoch and the metrics at the end."""

RANDOM = settings({"name": "lenet", "norm": "batch", "dropout": 0.3}, {"epochs": 3, "batch_size": 50, "ema": 0.9})
STOPPED: dict[str, dict[str, Any]] = {
    "ddp": RANDOM,
    "ddp fp16": RANDOM | {"runtime": {"precision": "fp16"}},
    "fsdp": RANDOM | {"runtime": {"parallel": "fsdp"}, "optimizer": "adamw"},
    "fsdp schedule-free": RANDOM
    | {"train": {"epochs": 3, "batch_size": 50, "restore_best": True}, "optimizer": "schedule_free_adamw"}
    | {"runtime": {"parallel": "fsdp"}},
    "local_sgd": RANDOM | {"runtime": {"parallel": "local_sgd", "local_steps": 5, "local_warmup": 3}},
}
"""What is stopped by a word to one of the processes and must end with the same bits."""


def quick(case: dict[str, Any]) -> dict[str, Any]:
    return case | {"runtime": {"device": "cpu", "threads": 1} | case.get("runtime", {})}


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("TUNING_")}
    return kept | {"PYTHONPATH": f"{ROOT}:{Path(tuning_trainer.__file__).parents[1]}", "OMP_NUM_THREADS": "1"} | more


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All cases, trained by two processes that torchrun started."""
    directory = tmp_path_factory.mktemp("together")
    cases: dict[str, Any] = {name: {"settings": quick(case)} for name, case in CASES.items()}
    for name, case in STOPPED.items():
        cases[f"{name} whole"] = {"settings": quick(case)}
        cases[f"{name} pieces"] = {"settings": quick(case), "stops": [(1, 3), (0, 4)]}
    final = settings("mlp", {"epochs": 2}, data="wine")
    cases["final fsdp"] = {"settings": quick(final | {"runtime": {"parallel": "fsdp"}}), "role": "Final"}
    cases["little memory in one"] = {"settings": quick(settings("mlp", {"epochs": 2}, data="iris")), "memory": 20}
    file = directory / "cases.json"
    file.write_text(json.dumps(cases))
    meeting = ["--rdzv-backend", "c10d", "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *meeting]
    made = subprocess.run(
        [*torchrun, "-m", "tests.unit.trainer.pair", str(file)],
        env=environment(),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr[-3000:]
    return directory


def came_of(directory: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / f"{name}.json").read_text())
    return found


def alone(case: dict[str, Any]) -> tuple[list[float], dict[str, float]]:
    """The loss of each epoch and the final metrics of one process."""
    session = a_session()
    losses: list[float] = []
    publish = session.report

    def report(step: int, *, steps: int | None = None, **metrics: float) -> None:
        losses.append(metrics["train_loss"])
        publish(step, steps=steps, **metrics)

    session.report = report  # type: ignore[method-assign]
    assert ran(a_config(quick(case)), session)[0] == 0
    return losses, dict(session.snapshot().final)


@pytest.mark.parametrize("name", CASES)
def test_two_processes_train_what_one_trains(together: Path, name: str) -> None:
    losses, final = alone(CASES[name])
    found = came_of(together, name)
    rounding = 20 if "Muon" in name else 1  # torch's Muon computes in bfloat16
    assert found["losses"] == pytest.approx(losses, rel=2e-4 * rounding)
    assert found["final"]["val_loss"] == pytest.approx(final["val_loss"], rel=2e-3 * rounding)
    assert found["final"].keys() == final.keys()


@pytest.mark.parametrize("name", STOPPED)
def test_a_word_to_one_process_stops_all_and_the_training_goes_on_bit_by_bit(together: Path, name: str) -> None:
    whole, pieces = came_of(together, f"{name} whole"), came_of(together, f"{name} pieces")
    assert len(pieces["stopped"]) == 2
    assert pieces["stopped"][0] < pieces["stopped"][1]
    assert pieces["final"] == whole["final"]
    assert pieces["losses"][-1] == whole["losses"][-1]


def test_a_model_that_is_shared_out_has_its_shares_beside_the_checkpoint(together: Path) -> None:
    names = sorted(p.name for p in (together / "fsdp whole").iterdir())
    assert [re.sub(r"\d+", "N", name) for name in names] == ["checkpoint-N.pt", "shards-N"]


def test_a_share_that_is_damaged_is_told_and_the_checkpoint_passed_over(
    together: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tuning_trainer.engine.checkpoint import Checkpoints

    for each in (together / "fsdp whole").rglob("*"):
        if each.is_file():
            copy = tmp_path / each.relative_to(together / "fsdp whole")
            copy.parent.mkdir(exist_ok=True)
            body = bytearray(each.read_bytes())
            body[len(body) // 2] ^= each.suffix == ".distcp"
            copy.write_bytes(body)
    assert Checkpoints(tmp_path, identity={}, keep=2).load(torch.device("cpu")) is None
    assert "the checksum of shards-" in capsys.readouterr().err


def test_one_process_does_not_go_on_from_shares(together: Path) -> None:
    code, session = ran(a_config(quick(STOPPED["fsdp"])), a_session(together / "fsdp whole"))
    error = session.snapshot().error
    assert error is not None
    assert (code, error.reason) == (42, "InvalidSetting")
    assert "at least two processes" in error.message


def test_one_process_goes_on_from_two(together: Path) -> None:
    more = quick(STOPPED["ddp"] | {"train": STOPPED["ddp"]["train"] | {"epochs": 4}})
    code, session = ran(a_config(more), a_session(together / "ddp whole"))
    assert (code, session.snapshot().step) == (0, 4)
    assert session.snapshot().final["train_loss"] < came_of(together, "ddp whole")["losses"][-1]


def test_the_main_process_exports_the_whole_model(together: Path) -> None:
    from tuning_trainer import models

    found = came_of(together, "final fsdp")
    exported = json.loads((together / "final fsdp" / "config.json").read_text())
    weights = torch.load(together / "final fsdp" / "model.pt", weights_only=True)
    assert found["final"]["test_accuracy"] > 0.5
    assert all(type(weight) is torch.Tensor for weight in weights.values())
    config = a_config(settings("mlp", {"epochs": 2}, data="wine"))
    from tuning_trainer.data.layout import Layout

    module = models.build(config.model, layout=Layout(tuple(exported["layout"]["shape"])), outputs=3)
    module.load_state_dict(weights)


def test_one_process_with_little_memory_uses_smaller_parts_and_the_others_do_not_notice(together: Path) -> None:
    losses, _ = alone(settings("mlp", {"epochs": 2}, data="iris"))
    assert came_of(together, "little memory in one")["losses"] == pytest.approx(losses, rel=2e-4)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({}, None, id="alone"),
        pytest.param({"RANK": "0", "WORLD_SIZE": "1"}, Place(0, 1, 0, 1), id="a world of one"),
        pytest.param(
            {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
            | {"MASTER_ADDR": "a", "MASTER_PORT": "1"},
            Place(5, 8, 1, 4),
            id="torchrun",
        ),
        pytest.param({"RANK": "0"}, "RANK is '0' and WORLD_SIZE is None", id="half of it"),
        pytest.param({"RANK": "2", "WORLD_SIZE": "2"}, "RANK from 0 to WORLD_SIZE - 1", id="a rank too many"),
        pytest.param({"RANK": "x", "WORLD_SIZE": "2"}, "RANK is 'x'; it must be a whole number", id="no number"),
        pytest.param({"RANK": "0", "WORLD_SIZE": "2"}, "MASTER_ADDR is not set", id="nowhere to meet"),
    ],
)
def test_the_place_among_the_processes(environ: dict[str, str], expected: Place | str | None) -> None:
    if not isinstance(expected, str):
        assert Place.read(environ) == expected
        return
    with pytest.raises(SettingError, match=re.escape(expected)):
        Place.read(environ)


def test_a_process_for_each_gpu_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    assert processes(Runtime(device="cpu")) == 1
    assert processes(Runtime(device="cpu", processes=3)) == 3
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert processes(Runtime()) == 4
    with pytest.raises(SettingError, match=r"runtime\.processes is 5 but the trial sees 4 GPUs"):
        processes(Runtime(processes=5))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        pytest.param({"compress": {"prune": {"share": 0.5}}}, "compress is asked for", id="compression"),
        pytest.param({"privacy": {"noise": 1.0}}, "privacy is asked for", id="privacy"),
    ],
)
def test_what_needs_the_whole_training_in_one_process_is_refused(more: dict[str, Any], words: str) -> None:
    config = a_config(settings("mlp", {"epochs": 1}, data="iris") | more)
    data = prepare(config.data, final=False, device=torch.device("cpu"))
    with pytest.raises(SettingError, match=f"{words}.*2 processes; set runtime.processes to 1"):
        Trial(config, a_session(), data=data, device=torch.device("cpu"), world=World(0, 2))


def start(directory: Path, epochs: int, **parameters: Any) -> subprocess.Popen[str]:
    """A trial of two processes as a study starts it."""
    given = quick(LENET | {"train": {"epochs": epochs, "batch_size": 101}, "runtime": {"processes": 2}})
    variables = {
        "TUNING_TRIAL": "t",
        "TUNING_TRAINER": json.dumps(given),
        "TUNING_PARAMETERS": json.dumps(parameters),
        "TUNING_CHECKPOINT_DIR": str(directory),
        "TUNING_TERMINATION_FILE": str(directory.with_suffix(".report")),
    }
    command = [sys.executable, "-m", "tuning_trainer"]
    return subprocess.Popen(
        command, env=environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def companion_of(process: subprocess.Popen[str]) -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def until_epoch(process: subprocess.Popen[str], word: str = "epoch 2/") -> None:
    assert process.stdout is not None
    assert any(line.startswith(word) for line in process.stdout), process.stderr and process.stderr.read()


def report_of(directory: Path) -> Report:
    return Report.parse(directory.with_suffix(".report").read_text())


@pytest.mark.parametrize(
    ("ending", "code", "reason", "words"),
    [
        pytest.param(
            lambda p: os.kill(p.pid, signal.SIGTERM), 143, None, "stopped in epoch", id="the first is stopped"
        ),
        pytest.param(
            lambda p: os.kill(companion_of(p), signal.SIGTERM), 143, None, "stopped in epoch", id="another is stopped"
        ),
        pytest.param(
            lambda p: os.kill(companion_of(p), signal.SIGKILL),
            75,
            "TryAgain",
            "a process of this trial is gone: process 1 was ended by signal 9",
            id="another is killed",
        ),
    ],
)
def test_the_end_of_one_is_the_end_of_all(
    tmp_path: Path, ending: Callable[[subprocess.Popen[str]], None], code: int, reason: str | None, words: str
) -> None:
    process = start(tmp_path / "c", 10_000)
    until_epoch(process)
    companion = companion_of(process)
    began = time.monotonic()
    ending(process)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert time.monotonic() - began < 30  # with a margin for a machine that is busy: it takes a second or two
    assert words in told
    report = report_of(tmp_path / "c")
    assert (report.error.reason if report.error else None) == reason
    assert not report.done
    assert not Path(f"/proc/{companion}").exists()
    assert len(list((tmp_path / "c").glob("checkpoint-*.pt"))) == (1 if code == 143 else 0)


def a_watch(store: Any, rank: int, ends: list[tuple[str, str]], *, lost: str | None = None) -> Watch:
    def fail(reason: str, message: str) -> int:
        ends.append((reason, message))
        return 1

    return Watch(connection(store), rank=rank, size=2, lost=lambda: lost, fail=fail)


@pytest.fixture
def store() -> Any:
    return torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)


def test_the_main_process_ends_with_what_another_failed_of(store: Any) -> None:
    main, other = a_watch(store, 0, []), a_watch(store, 1, [])
    assert other.tell("OutOfMemory", "no room") == ("OutOfMemory", "no room")
    assert main.tell("Exception", "a consequence") == ("OutOfMemory", "process 1: no room")
    assert main.explain("connection closed") == ("OutOfMemory", "process 1: no room")
    main.finish()
    other.finish()


def test_a_process_that_waits_is_ended_when_another_fails(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch_module, "GRACE_SECONDS", 0.1)
    codes: list[int] = []
    monkeypatch.setattr(watch_module.os, "_exit", lambda code: (codes.append(code), sys.exit()))
    ends: list[tuple[str, str]] = []
    main = a_watch(store, 0, ends)
    other = a_watch(store, 1, [])
    other.finish()
    other.tell("Exception", "ValueError: x")
    deadline = time.monotonic() + 20
    while not codes and time.monotonic() < deadline:
        time.sleep(0.05)
    assert (codes[:1], ends[:1]) == ([1], [("Exception", "process 1: ValueError: x")])
    main.finish()


def test_a_process_that_shows_no_life_is_lost(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_module, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(watch_module, "GRACE_SECONDS", 0.1)
    monkeypatch.setattr(watch_module, "SILENT_SECONDS", 0.3)
    codes: list[int] = []
    monkeypatch.setattr(watch_module.os, "_exit", lambda code: (codes.append(code), sys.exit()))
    ends: list[tuple[str, str]] = []
    store.set("tuning/beat/1", "7")
    main = a_watch(store, 0, ends)
    deadline = time.monotonic() + 20
    while not codes and time.monotonic() < deadline:
        time.sleep(0.05)
    assert ends == [("TryAgain", "process 1 of this trial has shown no life for a minute")]
    main.finish()
