"""Every algorithm and every scheduler once, as a study on a real API server. All run at the same time.

Whether they search well is measured elsewhere; here each must come to its end, keep the promises and leave the ledger
that its kind leaves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.cluster.operated import operated_plane, promises_kept, trials
from tests.operator_process import OperatorProcess, a_study
from tests.testcluster.claims import a_claim
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode, Rule

Object = dict[str, Any]

ALGORITHMS = ("Auto", "Random", "QuasiRandom", "TPE", "GP", "CMAES", "NSGAII", "NSGAIII", "Evolution")
CHECKPOINTS = {"claimName": "checkpoints"}
LOSS, SIZE = {"metric": "loss", "goal": "Minimize"}, {"metric": "size", "goal": "Minimize"}
FIDELITY = {"parameter": "epochs", "min": 1, "max": 9, "reduction": 3}
GRID = [{"name": "layers", "int": {"min": 2, "max": 5}}, {"name": "optimizer", "choice": ["sgd", "adam"]}]
PAUSING = ("asha-hybrid", "asha-pause", "hyperband", "hyperband-synchronous", "successive-halving")


@dataclass(frozen=True)
class Plan:
    spec: Object
    trials: int = 8


def climbing(scheduler: Object, *, count: int = 9, parallel: int = 3, **spec: Any) -> Plan:
    return Plan({"fidelity": FIDELITY, "scheduler": scheduler, "limits": limits(count, parallel)} | spec, count)


def limits(count: int, parallel: int = 2) -> Object:
    return {"trials": count, "parallel": parallel}


PLANS: dict[str, Plan] = {
    "grid": Plan({"algorithm": {"name": "Grid"}, "parameters": GRID, "limits": {"parallel": 4}}),
    **{name.lower(): Plan({"algorithm": {"name": name, "seed": 1}, "limits": limits(8, 4)}) for name in ALGORITHMS},
    "front": Plan({"objectives": [LOSS, SIZE], "algorithm": {"name": "NSGAII", "seed": 1}, "limits": limits(8, 4)}),
    "front-tpe": Plan({"objectives": [LOSS, SIZE], "algorithm": {"name": "TPE", "seed": 1}, "limits": limits(8, 4)}),
    "front-gp": Plan({"objectives": [LOSS, SIZE], "algorithm": {"name": "GP", "seed": 1}, "limits": limits(8, 4)}),
    "median": climbing({"name": "Median", "median": {"interval": 1, "startupTrials": 2}}),
    "asha-stop": climbing({"name": "ASHA", "asha": {"mode": "Stop"}}),
    "asha-hybrid": climbing({"name": "ASHA", "asha": {"mode": "Hybrid"}}),
    "asha-pause": climbing({"name": "ASHA", "asha": {"mode": "Pause"}}),
    "hyperband": climbing({"name": "Hyperband"}),
    "hyperband-synchronous": climbing({"name": "Hyperband", "hyperband": {"mode": "Synchronous"}}),
    "successive-halving": climbing({"name": "SuccessiveHalving"}),
    "pbt": climbing(
        {"name": "PBT", "pbt": {"population": 4}}, count=12, parallel=4, fidelity=FIDELITY | {"min": 3},
        algorithm={"seed": 1},
    ),
    "replicated": Plan({"limits": limits(4)}, 4),
    "confirmed": Plan({"limits": limits(4), "final": {"retrain": False, "confirm": {"top": 2, "runs": 2}}}, 4),
}  # fmt: skip


def the_study(name: str, plan: Plan) -> Object:
    study = a_study(name, trials=8, parallel=2, **plan.spec)
    if "scheduler" in plan.spec:
        study["spec"]["trial"]["checkpoints"] = CHECKPOINTS
        study["spec"]["metrics"] = {"intervalSeconds": 1}
    if name == "replicated":
        study["spec"]["trial"]["replicates"] = {"count": 2, "giveUp": False}
    return study


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    long = [Rule(name=name, seconds=4.5) for name, plan in PLANS.items() if "scheduler" in plan.spec]
    with operated_plane() as cluster, FakeNode(cluster, seconds=0.5, rules=long):
        yield cluster


@pytest.fixture(scope="module")
def namespace(plane: ControlPlane) -> Iterator[str]:
    """Where all of them have come to an end."""
    name = plane.new_namespace("matrix")
    a_claim(plane, name, CHECKPOINTS["claimName"])
    with OperatorProcess(plane):
        for each, plan in PLANS.items():
            plane.client.create("tuningstudies", the_study(each, plan), name)

        def running() -> list[str]:
            found = plane.client.list("tuningstudies", name)
            return [
                f"{study['metadata']['name']}: {study.get('status', {}).get('state')}"
                for study in found
                if study.get("status", {}).get("state") not in ("Succeeded", "Failed", "Stalled")
            ]

        eventually(lambda: not running(), timeout=150, interval=0.5, what=f"the end of all studies: {running()}")
        yield name


def status_of(plane: ControlPlane, namespace: str, name: str) -> Object:
    status: Object = plane.client.get("tuningstudies", name, namespace)["status"]
    return status


@pytest.mark.parametrize("name", PLANS)
def test_it_comes_to_its_end(plane: ControlPlane, namespace: str, name: str) -> None:
    status, ledger = status_of(plane, namespace, name), trials(plane, namespace, name)

    assert status["state"] == "Succeeded", status["conditions"]
    searched = [trial["spec"]["number"] for trial in ledger if trial["spec"]["role"] == "Search"]
    assert searched == list(range(PLANS[name].trials))
    assert all(trial["status"]["result"] for trial in ledger)
    assert status["best"]["values"]["loss"] >= 0
    assert status["counts"]["total"] == PLANS[name].trials
    assert status["counts"]["failed"] == 0


def test_all_of_them_kept_the_promises(plane: ControlPlane, namespace: str) -> None:
    promises_kept(plane, namespace, *PLANS)


@pytest.mark.parametrize("name", PAUSING)
def test_paused_trials_give_up_their_jobs_and_the_promoted_ones_go_on(
    plane: ControlPlane, namespace: str, name: str
) -> None:
    ledger = trials(plane, namespace, name)
    table = status_of(plane, namespace, name)["rungs"]

    reached: dict[int, int] = {}
    for trial in ledger:
        rungs = [rung["budget"] for rung in trial["status"].get("rungs", [])]
        assert rungs == sorted(rungs)
        for budget in rungs:
            reached[budget] = reached.get(budget, 0) + 1
    assert {row["budget"] for row in table} <= {1, 3, 9}
    assert sum(row["reached"] for row in table) == sum(reached.values())
    stopped = [trial for trial in ledger if trial["status"]["state"] == "Stopped"]
    assert stopped
    assert {trial["status"]["result"]["reason"] for trial in stopped} == {"NotPromoted"}
    if name not in ("asha-hybrid", "hyperband"):  # there the best may never have paused
        assert any(trial["status"]["attempt"] > 0 and trial["status"]["state"] == "Succeeded" for trial in ledger)
    assert {(t["status"]["retries"], t["status"]["disruptions"]) for t in ledger} == {(0, 0)}


def test_values_at_rungs_are_those_of_the_curve(plane: ControlPlane, namespace: str) -> None:
    """Also those that were scraped, and those of trials that went on from a checkpoint."""
    for name in (*PAUSING, "asha-stop", "median"):
        for trial in trials(plane, namespace, name):
            rungs = {rung["budget"]: rung["values"]["loss"] for rung in trial["status"].get("rungs", [])}
            floor = {value - 1 / budget for budget, value in rungs.items()}
            assert max(floor, default=0) - min(floor, default=0) < 1e-9, (name, trial["spec"]["number"], rungs)


def test_stopping_needs_no_further_attempt(plane: ControlPlane, namespace: str) -> None:
    for name in ("asha-stop", "median"):
        ledger = trials(plane, namespace, name)
        reasons = {t["status"]["result"]["reason"] for t in ledger if t["status"]["state"] == "Stopped"}
        assert {trial["status"]["attempt"] for trial in ledger} == {0}
        assert reasons <= {"Unpromising"}


def test_a_population_is_bred_generation_by_generation(plane: ControlPlane, namespace: str) -> None:
    ledger = trials(plane, namespace, "pbt")
    records = [trial["spec"]["suggestion"] for trial in ledger]
    jobs = {
        int(job["metadata"]["labels"]["tuning.study/trial"]): job["spec"]["template"]["spec"]
        for job in plane.client.list("jobs", namespace, labels="tuning.study/study=pbt")
    }
    steps = [trial["status"]["result"]["step"] for trial in ledger]

    assert [record["generation"] for record in records] == [0] * 4 + [1] * 4 + [2] * 4
    assert steps == [3] * 4 + [6] * 4 + [9] * 4
    for number, record in enumerate(records[4:], start=4):
        mounts = {mount["mountPath"]: mount for mount in jobs[number]["containers"][0]["volumeMounts"]}
        assert mounts["/parent"]["subPath"] == ledger[record["parent"]]["metadata"]["name"]


def test_a_replicated_trial_has_a_mean_and_its_error(plane: ControlPlane, namespace: str) -> None:
    for trial in trials(plane, namespace, "replicated"):
        result, replicates = trial["status"]["result"], trial["status"]["replicates"]
        values = [replicate["values"]["loss"] for replicate in replicates]
        assert len(values) == 2
        assert values[1] - values[0] == pytest.approx(0.01)
        assert result["values"]["loss"] == pytest.approx(sum(values) / 2)
        assert result["errors"]["loss"] == pytest.approx(0.005)


def test_the_best_ones_are_run_again(plane: ControlPlane, namespace: str) -> None:
    status, ledger = status_of(plane, namespace, "confirmed"), trials(plane, namespace, "confirmed")
    again = [trial["spec"]["suggestion"]["parent"] for trial in ledger if trial["spec"]["role"] == "Confirm"]
    values = {trial["spec"]["number"]: trial["status"]["result"]["values"]["loss"] for trial in ledger[:4]}
    best = sorted(values, key=lambda number: values[number])[:2]

    assert sorted(again) == sorted(best * 2)
    assert {(each["number"], each["runs"]) for each in status["confirmed"]} == {(number, 2) for number in best}


def test_two_objectives_have_a_front(plane: ControlPlane, namespace: str) -> None:
    for name in ("front", "front-tpe", "front-gp"):
        status = status_of(plane, namespace, name)
        front = [(member["values"]["loss"], member["values"]["size"]) for member in status["front"]]
        assert front
        assert status["best"]["number"] in [member["number"] for member in status["front"]]
        for one in front:
            assert not any(other != one and other[0] <= one[0] and other[1] <= one[1] for other in front)


def test_a_later_study_learns_from_them(plane: ControlPlane, namespace: str) -> None:
    table = [{"parameters": {"lr": 0.003, "momentum": 0.9, "layers": 4}, "values": {"loss": 0.001}}]
    plane.client.create(
        "configmaps", {"metadata": {"name": "table"}, "data": {"trials.json": json.dumps(table)}}, namespace
    )
    sources = [{"study": "random"}, {"configMap": {"name": "table"}}, {"study": "nobody"}]
    study = a_study("taught", trials=2, parallel=1, warmStart=sources)
    plane.client.create("tuningstudies", study, namespace)

    def over() -> Object | None:
        status = plane.client.get("tuningstudies", "taught", namespace).get("status", {})
        return status if status.get("state") in ("Succeeded", "Failed", "Stalled") else None

    status = eventually(over, timeout=60, what="the end of the taught study")
    ledger = trials(plane, namespace, "taught")

    assert status["state"] == "Succeeded"
    assert "learned from 8 results of study random" in status["algorithm"]["reason"]
    assert "learned from 1 result of ConfigMap table" in status["algorithm"]["reason"]
    assert "nothing learned from study nobody" in status["algorithm"]["reason"]
    assert min(trial["spec"]["suggestion"]["known"] for trial in ledger) == 9
