"""ASHA on a real node: trials pause at a rung, give up their pods, are promoted and go on from their checkpoints.

The operator that leads is killed between a pause and a promotion, and the one that stands by takes over: what was
recorded before stands after it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.e2e.installed import RESTRICTED, leader
from tests.testcluster.claims import a_claim
from tests.testcluster.client import eventually
from tests.testcluster.realnode import RealCluster

ONE_THREAD = {"containers": [{"name": "trial", "env": [{"name": "OMP_NUM_THREADS", "value": "1"}]}]}
CLAIM = "checkpoints"

Object = dict[str, Any]


def a_study() -> Object:
    """Four networks one after the other, with epochs of a second or two, so that a pause comes while they train."""
    spec: Object = {
        "objectives": [{"metric": "val_accuracy", "goal": "Maximize"}],
        "parameters": [{"name": "lr", "float": {"min": 1e-4, "max": 1e-1, "scale": "Log"}}],
        # The second is worse than the first and pauses; when the others are worse still, it is among the best half.
        "enqueue": [{"lr": 1e-3}, {"lr": 3e-4}, {"lr": 1e-4}, {"lr": 1.2e-4}],
        "fidelity": {"parameter": "epochs", "min": 2, "max": 8, "reduction": 2},
        "scheduler": {"name": "ASHA", "asha": {"mode": "Hybrid"}},
        "limits": {"trials": 4, "parallel": 1},
        "metrics": {"intervalSeconds": 2},
        "trial": {
            "trainer": {"data": {"name": "digits"}, "model": {"name": "lenet"}, "train": {"batch_size": 4}},
            "template": {"spec": {"template": {"spec": ONE_THREAD}}},
            "checkpoints": {"claimName": CLAIM},
            "timeout": "5m",
        },
    }
    return {
        "apiVersion": "tuning.study/v1alpha1",
        "kind": "TuningStudy",
        "metadata": {"name": "rungs"},
        "spec": spec,
    }


def trials(cluster: RealCluster, namespace: str) -> list[Object]:
    return sorted(cluster.client.list("tuningtrials", namespace), key=lambda trial: trial["spec"]["number"])


def in_state(cluster: RealCluster, namespace: str, state: str) -> list[Object]:
    return [trial for trial in trials(cluster, namespace) if trial.get("status", {}).get("state") == state]


def rungs(trial: Object) -> dict[int, Object]:
    return {rung["budget"]: rung for rung in trial.get("status", {}).get("rungs", [])}


def kill_the_leader(cluster: RealCluster, system: str) -> None:
    """Without a word to it: its lease stays, and runs out, until one that stands by, or is made in its place, leads."""
    pod = eventually(lambda: leader(cluster, system), what="a leader")
    path = f"/api/v1/namespaces/{system}/pods/{pod['metadata']['name']}"
    cluster.client.request("DELETE", path, {"gracePeriodSeconds": 0})
    after = eventually(lambda: leader(cluster, system), timeout=60, what="another leader")
    assert after["metadata"]["uid"] != pod["metadata"]["uid"]


def test_trials_pause_and_are_promoted_across_a_kill_of_the_operator_that_leads(
    real_cluster: RealCluster, system: str, shared: Path
) -> None:
    namespace = real_cluster.new_namespace("rungs", labels=RESTRICTED)
    a_claim(real_cluster, namespace, CLAIM, path=str(shared))
    real_cluster.apply(a_study(), namespace=namespace)

    # It pauses: the record says so, the Job is deleted, the checkpoint stays.
    def paused() -> list[Object]:
        return in_state(real_cluster, namespace, "Paused")

    first = eventually(paused, timeout=120, interval=0.1, what="a paused trial")[0]
    before = {t["spec"]["number"]: rungs(t) for t in trials(real_cluster, namespace)}
    kill_the_leader(real_cluster, system)
    name = first["metadata"]["name"]
    assert (shared / name).is_dir()
    assert rungs(first)[max(rungs(first))]["promoted"] is False
    assert first["status"]["attempt"] == 1
    attempts = f"tuning.study/study=rungs,tuning.study/trial={first['spec']['number']},tuning.study/attempt=0"
    eventually(
        lambda: not real_cluster.client.list("jobs", namespace, labels=attempts), timeout=60, what="its Job is deleted"
    )

    # It promotes, goes on from the checkpoint, and comes to its end.
    resumed: dict[str, str] = {}

    def over() -> Object | None:
        for pod in real_cluster.client.list("pods", namespace, labels="tuning.study/attempt!=0"):
            name = pod["metadata"]["name"]
            log = real_cluster.kubectl("-n", namespace, "logs", name, check=False)
            if "goes on after epoch" in log:
                resumed[pod["metadata"]["labels"]["tuning.study/trial"]] = log
        status = real_cluster.client.get("tuningstudies", "rungs", namespace).get("status", {})
        return status if status.get("state") in ("Succeeded", "Failed", "Stalled") else None

    status = eventually(over, timeout=300, interval=0.5, what="the end of the study")
    ledger = trials(real_cluster, namespace)
    assert status["state"] == "Succeeded", status
    assert resumed
    for trial in ledger:
        for budget, rung in before.get(trial["spec"]["number"], {}).items():
            assert rungs(trial)[budget]["values"] == rung["values"]
        assert (trial["status"]["retries"], trial["status"]["disruptions"]) == (0, 0), trial
    table = [(row["budget"], row["reached"]) for row in status["rungs"]]
    assert table[0] == (2, len(ledger)) == (2, 4)
    assert [budget for budget, _ in table] == [2, 4, 8]
    assert [reached for _, reached in table] == sorted((reached for _, reached in table), reverse=True)
    climbed = [trial for trial in ledger if trial["status"]["state"] == "Succeeded"]
    assert [trial["status"]["result"]["step"] for trial in climbed] == [8] * len(climbed) != []
    assert any(len(rungs(ledger[int(number)])) > 1 for number in resumed)
    real_cluster.client.delete("namespaces", namespace)
