"""Every algorithm and every scheduler once, as a real study of real processes."""

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tuning_trial
from tests.local.studies import AStudy, Finished, Tuning, results, run, trials, wait_for

RUNGS = (1, 3, 9)
FLOATS: tuple[dict[str, Any], ...] = (
    {"name": "x", "float": {"min": 0, "max": 1}},
    {"name": "z", "float": {"min": 0, "max": 1}},
)
LATTICE: tuple[dict[str, Any], ...] = (
    {"name": "x", "float": {"min": 0, "max": 1, "step": 0.5}},
    {"name": "z", "float": {"min": 0, "max": 1, "step": 0.5}},
)
FIDELITY = {"parameter": "epochs", "min": 1, "max": 9, "reduction": 3}
TWO = [{"metric": "loss", "goal": "Minimize"}, {"metric": "cost", "goal": "Minimize"}]


@pytest.fixture
def a_curve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AStudy:
    """Trials that learn for a few steps; each study in a folder of its own."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(tuning_trial.__file__).parents[1]), *_path()]))
    script = Path(__file__).with_name("curve.py")
    return AStudy(
        tmp_path,
        name="curve",
        script=str(script),
        command=("python",),
        parameters=FLOATS,
        limits={"trials": 6, "parallel": 2},
        trial={"checkpoints": {"claimName": "curve"}},
    )


def _path() -> list[str]:
    given = os.environ.get("PYTHONPATH", "")
    return [given] if given else []


def steps(study: AStudy) -> dict[int, list[int]]:
    """By trial, the steps that it trained, in order."""
    journal = study.directory / "steps"
    found = defaultdict(list)
    for line in journal.read_text().splitlines() if journal.exists() else ():
        trial, _, step = map(int, line.split())
        found[trial].append(step)
    return found


def with_scheduler(study: AStudy, name: str, *, trials: int = 9, **settings: Any) -> AStudy:
    more = {"fidelity": FIDELITY, "scheduler": {"name": name, **settings}}
    return study.but(more=more, limits={"trials": trials, "parallel": 2})


@pytest.mark.parametrize(
    ("algorithm", "changes"),
    [
        pytest.param({"name": "Grid"}, {"parameters": LATTICE, "limits": {"parallel": 2}}, id="Grid"),
        pytest.param({"name": "Random"}, {}, id="Random"),
        pytest.param({"name": "QuasiRandom"}, {}, id="QuasiRandom"),
        pytest.param({"name": "TPE", "tpe": {"startupTrials": 3}}, {}, id="TPE"),
        pytest.param({"name": "GP", "gp": {"startupTrials": 3}}, {}, id="GP"),
        pytest.param({"name": "CMAES", "cmaes": {"population": 3}}, {}, id="CMAES"),
        pytest.param({"name": "NSGAII", "nsga": {"population": 4}}, {"more": {"objectives": TWO}}, id="NSGAII"),
        pytest.param({"name": "NSGAIII", "nsga": {"population": 4}}, {"more": {"objectives": TWO}}, id="NSGAIII"),
        pytest.param({"name": "Evolution", "evolution": {"population": 3, "sample": 2}}, {}, id="Evolution"),
        pytest.param({"name": "Auto"}, {}, id="Auto"),
    ],
)
def test_every_algorithm(a_curve: AStudy, algorithm: dict[str, Any], changes: dict[str, Any]) -> None:
    done = run(a_curve.but(algorithm={"seed": 1, **algorithm}, **changes))
    assert done.code == 0, done.err
    count = 9 if algorithm["name"] == "Grid" else 6
    assert [result["state"] for result in done.results] == ["Succeeded"] * count
    points = {(t["spec"]["parameters"]["x"], t["spec"]["parameters"]["z"]) for t in done.json["trials"]}
    assert len(points) == count
    assert all(0 <= value <= 1 for point in points for value in point)
    losses = [result["values"]["loss"] for result in done.results]
    if "more" not in changes:
        assert done.status["best"]["values"]["loss"] == min(losses)
    else:
        assert done.status["front"]
    chosen = done.status["algorithm"]["name"]
    assert chosen == algorithm["name"] or algorithm["name"] == "Auto"


def assert_rungs_hold(study: AStudy, done: Finished) -> None:
    """What the ledger says of rungs is what was trained, and nothing was trained twice."""
    trained = steps(study)
    for trial in done.json["trials"]:
        number, rungs = trial["spec"]["number"], trial["status"].get("rungs", [])
        assert trained[number] == list(range(1, len(trained[number]) + 1)), f"trial {number} trained a step twice"
        assert [rung["budget"] for rung in rungs] == sorted(rung["budget"] for rung in rungs)
        assert all(trained[number][-1] >= rung["budget"] for rung in rungs)
        assert "result" in trial["status"]
    full = [t for t in done.json["trials"] if t["status"]["result"]["state"] == "Succeeded"]
    assert full
    assert all(trained[trial["spec"]["number"]][-1] == 9 for trial in full)
    best = min(trial["status"]["result"]["values"]["loss"] for trial in full)
    assert done.status["best"]["values"]["loss"] == best


@pytest.mark.parametrize(
    ("name", "settings", "cheaper"),
    [
        pytest.param("Median", {"median": {"interval": 1, "startupTrials": 2}}, False, id="Median"),
        pytest.param("ASHA", {}, True, id="ASHA, hybrid"),
        pytest.param("ASHA", {"asha": {"mode": "Pause"}}, True, id="ASHA, pause"),
        pytest.param("ASHA", {"asha": {"mode": "Stop"}}, True, id="ASHA, stop"),
        pytest.param("Hyperband", {"hyperband": {"mode": "Asynchronous"}}, True, id="Hyperband, asynchronous"),
        pytest.param("Hyperband", {"hyperband": {"mode": "Synchronous"}}, True, id="Hyperband, synchronous"),
        pytest.param("SuccessiveHalving", {}, True, id="SuccessiveHalving"),
    ],
)
def test_every_scheduler(
    a_curve: AStudy, monkeypatch: pytest.MonkeyPatch, name: str, settings: dict[str, Any], cheaper: bool
) -> None:
    monkeypatch.setenv("PAUSE", "0.1")
    study = with_scheduler(a_curve, name, trials=17 if name == "Hyperband" else 9, **settings)
    done = run(study)
    assert done.code == 0, done.err
    assert_rungs_hold(study, done)
    spent = sum(len(trained) for trained in steps(study).values())
    assert spent < 9 * len(done.results) or not cheaper
    assert [rung for rung in done.status["rungs"] if rung["reached"]]


def test_a_population_trains_by_generations_from_its_parents(a_curve: AStudy) -> None:
    more = {
        "fidelity": {"parameter": "epochs", "min": 3, "max": 9},
        "scheduler": {"name": "PBT", "pbt": {"population": 4}},
    }
    done = run(a_curve.but(more=more, limits={"trials": 12, "parallel": 2}))
    assert done.code == 0, done.err
    assert [result["state"] for result in done.results] == ["Succeeded"] * 12
    trained = steps(a_curve)
    for trial in done.json["trials"]:
        suggestion = trial["spec"]["suggestion"]
        generation = suggestion["generation"]
        assert trained[trial["spec"]["number"]][-1] >= 3 * (generation + 1)
        if generation:
            parent = trained[suggestion["parent"]][-1]
            assert trained[trial["spec"]["number"]] == list(range(parent + 1, parent + 4))
    assert sum(len(each) for each in trained.values()) == 4 * 9


def test_what_lost_leaves_no_checkpoint_and_the_best_does(a_curve: AStudy) -> None:
    study = with_scheduler(a_curve, "ASHA")
    done = run(study)
    left = {int(file.parents[1].name) for file in study.ledger.glob("runs/*/checkpoint/state.json")}
    stopped = {n for n, result in enumerate(done.results) if result["state"] == "Stopped"}
    assert stopped
    assert not left & stopped
    assert done.status["best"]["number"] in left
    curves = {int(file.parents[1].name) for file in study.ledger.glob("runs/*/checkpoint/curve.jsonl")}
    assert curves == set(range(9))


def test_a_value_is_the_mean_of_its_replicates(a_curve: AStudy) -> None:
    trial = a_curve.trial | {"replicates": {"count": 3, "giveUp": False}}
    done = run(a_curve.but(trial=trial, limits={"trials": 2, "parallel": 2}))
    assert done.code == 0, done.err
    for each in done.json["trials"]:
        losses = [replicate["values"]["loss"] for replicate in each["status"]["replicates"]]
        assert len(losses) == 3
        assert losses[2] - losses[0] == pytest.approx(0.002)
        assert each["status"]["result"]["values"]["loss"] == pytest.approx(sum(losses) / 3)
        assert each["status"]["result"]["errors"]["loss"] == pytest.approx(0.001 / 3**0.5)
    assert all(trained == [*range(1, 10)] * 3 for trained in steps(a_curve).values())


def the_table(study: AStudy) -> list[tuple[Any, ...]]:
    found = []
    for trial in trials(study):
        rungs = [(rung["budget"], rung["values"], rung["promoted"]) for rung in trial["status"].get("rungs", [])]
        result = trial["status"]["result"]
        found.append((trial["spec"]["parameters"], rungs, result["state"], result["values"]))
    return found


@pytest.mark.parametrize("how", [Tuning.interrupt, Tuning.kill], ids=["Ctrl-C", "a killed runner"])
def test_interrupted_in_the_middle_it_comes_to_the_same_table(
    a_curve: AStudy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Callable[[Tuning], None]
) -> None:
    monkeypatch.setenv("PAUSE", "0.05")
    whole = with_scheduler(a_curve, "ASHA", asha={"mode": "Pause"}).with_limits(parallel=1)
    assert run(whole).code == 0
    (tmp_path / "pieces").mkdir()
    pieces = whole.but(directory=tmp_path / "pieces")
    for count in (2, 5):
        running = Tuning(pieces.directory, "run", pieces.write(), "--no-report")
        wait_for(lambda count=count: steps(pieces).get(count))
        how(running)
        running.end()
        assert len(results(pieces)) < 9
    assert run(pieces).code == 0
    assert the_table(pieces) == the_table(whole)
    assert steps(pieces) == steps(whole), "a step was lost, or trained twice"
