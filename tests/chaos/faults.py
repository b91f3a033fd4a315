"""Carrying out one fault; when `inflict` returns, it is over, and everything that was killed is started again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import urllib3

from tests.chaos.script import Fault
from tests.chaos.stage import Replica, Stage
from tests.testcluster.client import ApiError

Object = dict[str, Any]


class Inflict:
    """Counts what it kills, and knows what a person has done."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.kills = 0
        self.by_hand = 0
        """Objects that a person deleted or changed."""
        self._how: dict[str, Callable[[Fault], None]] = {
            "kill the leader": lambda fault: self._kill_operators(fault, stage.leader()),
            "kill the standby": lambda fault: self._kill_operators(fault, stage.standby()),
            "kill both operators": lambda fault: self._kill_operators(fault, *stage.replicas),
            "kill the API server": lambda fault: self.outage("kube-apiserver", fault.seconds),
            "kill etcd": lambda fault: self.outage("etcd", fault.seconds),
            "kill the API server and compact": self._compact,
            "kill the controllers": self._kill_controllers,
            "freeze the leader": self._freeze_leader,
            "freeze the leader for longer than its lease": self._freeze_leader,
            "freeze the API server": lambda fault: self._freeze("kube-apiserver", fault),
            "freeze etcd": lambda fault: self._freeze("etcd", fault),
            "cut all watches": self._cut,
            "cut off the leader": self._cut_off,
            "delete a Job": lambda fault: self._delete("jobs", fault),
            "delete a pod": lambda fault: self._delete("pods", fault),
            "delete a pod at once": lambda fault: self._delete("pods", fault, grace=0),
            "delete a trial": self._delete_trial,
            "delete a study and make it again": self._delete_study,
            "edit a status": self._edit_status,
            "edit limits": self._edit_limits,
            "suspend a study": self._suspend,
        }

    def __call__(self, fault: Fault) -> None:
        self._how[fault.kind](fault)

    def outage(self, component: str, seconds: float) -> None:
        process = self.stage.plane.component(component)
        process.kill()
        self.kills += 1
        time.sleep(seconds)
        process.start()

    def _kill_operators(self, fault: Fault, *replicas: Replica) -> None:
        for replica in replicas:
            replica.kill()
            self.kills += 1
        time.sleep(fault.seconds)
        for replica in replicas:
            replica.start()

    def _kill_controllers(self, fault: Fault) -> None:
        names = ("kube-controller-manager", "kube-scheduler")
        for name in names:
            self.stage.plane.component(name).kill()
        time.sleep(fault.seconds)
        for name in names:
            self.stage.plane.component(name).start()

    def _compact(self, fault: Fault) -> None:
        """Who watched from before must begin anew: the API server's own memory is gone, and etcd's past too (410)."""
        server = self.stage.plane.component("kube-apiserver")
        server.kill()
        self.kills += 1
        self.stage.record.compact()
        time.sleep(fault.seconds)
        server.start()

    def _freeze(self, component: str, fault: Fault) -> None:
        process = self.stage.plane.component(component)
        process.freeze()
        time.sleep(fault.seconds)
        process.thaw()

    def _freeze_leader(self, fault: Fault) -> None:
        leader = self.stage.leader()
        leader.freeze()
        time.sleep(fault.seconds)
        leader.thaw()

    def _cut(self, fault: Fault) -> None:
        for replica in self.stage.replicas:
            replica.cut()

    def _cut_off(self, fault: Fault) -> None:
        leader = self.stage.leader()
        leader.cut_off()
        time.sleep(fault.seconds)
        leader.reconnect()

    def _delete(self, kind: str, fault: Fault, *, grace: int | None = None) -> None:
        stage = self.stage
        found = [each for each in stage.listed(kind) if not _over(each)]
        if found:
            name = _pick(found, fault)["metadata"]["name"]
            self._ask(
                "DELETE",
                f"/{'apis/batch/v1' if kind == 'jobs' else 'api/v1'}/namespaces/{stage.namespace}/{kind}/{name}",
                {"propagationPolicy": "Background"} | ({} if grace is None else {"gracePeriodSeconds": grace}),
            )

    def _delete_trial(self, fault: Fault) -> None:
        active = {study["metadata"]["uid"] for study in self._active()}
        trials = self.stage.listed("tuningtrials")
        found = [
            trial
            for trial in trials
            if trial["spec"].get("role", "Search") == "Search"
            and trial["metadata"]["labels"]["tuning.study/study-uid"] in active
        ]
        if found:
            self._ask("DELETE", self._path("tuningtrials", _pick(found, fault)["metadata"]["name"]))

    def _delete_study(self, fault: Fault) -> None:
        found = self._active()
        if found:
            study = _pick(found, fault)
            name = study["metadata"]["name"]
            self._ask("DELETE", self._path("tuningstudies", name))
            again = {key: study[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": name}}
            self._ask("POST", self._path("tuningstudies"), again)

    def _edit_status(self, fault: Fault) -> None:
        found = self._active()
        if found:
            name = _pick(found, fault)["metadata"]["name"]
            self._merge(name, {"status": {"state": "Failed", "best": None, "counts": None}}, "/status")

    def _edit_limits(self, fault: Fault) -> None:
        found = self._active()
        if found:
            study = _pick(found, fault)
            parallel = 1 + (study["spec"]["limits"]["parallel"] + int(fault.pick * 10)) % 5
            self._merge(study["metadata"]["name"], {"spec": {"limits": {"parallel": parallel}}})

    def _suspend(self, fault: Fault) -> None:
        found = self._active()
        if found:
            name = _pick(found, fault)["metadata"]["name"]
            self._merge(name, {"spec": {"suspend": True}})
            time.sleep(fault.seconds)
            self._merge(name, {"spec": {"suspend": False}})

    def _active(self) -> list[Object]:
        studies = self.stage.listed("tuningstudies")
        return [study for study in studies if not study.get("status", {}).get("completionTime")]

    def _path(self, plural: str, name: str = "") -> str:
        where = f"/apis/tuning.study/v1alpha1/namespaces/{self.stage.namespace}/{plural}"
        return where + (f"/{name}" if name else "")

    def _merge(self, name: str, body: Object, subresource: str = "") -> None:
        path = self._path("tuningstudies", name) + subresource
        self._ask("PATCH", path, body, content_type="application/merge-patch+json")

    def _ask(self, method: str, path: str, body: object = None, **how: str) -> None:
        """A person's deed. What has just ended by itself is left alone; a server that is starting is asked again."""
        for _ in range(50):
            try:
                self.stage.plane.client.request(method, path, body, **how)
            except ApiError as error:
                if error.status in (404, 409, 422):
                    return
            except urllib3.exceptions.HTTPError:
                pass
            else:
                self.by_hand += 1
                return
            time.sleep(0.2)


def _pick(found: list[Object], fault: Fault) -> Object:
    return sorted(found, key=lambda each: str(each["metadata"]["name"]))[int(fault.pick * len(found))]


def _over(each: Object) -> bool:
    status = each.get("status", {})
    ended = status.get("phase") in ("Succeeded", "Failed") or bool(status.get("completionTime"))
    return ended or bool(each["metadata"].get("deletionTimestamp")) or "tuning.study/trial" not in _labels(each)


def _labels(each: Object) -> Object:
    return dict(each["metadata"].get("labels") or {})
