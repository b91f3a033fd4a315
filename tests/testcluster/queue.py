"""A double of Kueue: does to Jobs what its documentation says, so that operators can be tried with it.

A Job with a queue's name comes into being suspended (Kueue's webhook; here the API server does it by a policy). It is
admitted when its pods fit into the quota, by priority and then by age: its pod template gets the node labels of the
flavour, and the suspension is lifted. Taken back, it is suspended again; when its pods are gone its template is as it
was. Nothing here knows of studies.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from tests.testcluster.client import ApiError, eventually
from tests.testcluster.cluster import Cluster

Object = dict[str, Any]
Name = tuple[str, str]
"""Namespace and name of a Job."""

QUEUE = "kueue.x-k8s.io/queue-name"
PRIORITY = "kueue.x-k8s.io/priority-class"
FLAVOUR = {"kubernetes.io/os": "linux"}
TICK = 0.1
POLICY = "suspend-what-is-queued"
SUSPENDED: list[Object] = [
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicy",
        "metadata": {"name": POLICY},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
                ]
            },
            "matchConditions": [
                {
                    "name": "queued",
                    "expression": f"has(object.metadata.labels) && {QUEUE!r} in object.metadata.labels",
                }
            ],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {"expression": "Object{spec: Object.spec{suspend: true}}"},
                }
            ],
        },
    },
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": POLICY},
        "spec": {"policyName": POLICY},
    },
]


class Queue:
    """Admits Jobs as long as the block lasts. `quota`: pods at once; `priorities`: by class, 0 without."""

    def __init__(self, cluster: Cluster, *, quota: int, priorities: Mapping[str, int] | None = None) -> None:
        self.quota = quota
        self._cluster = cluster
        self._priorities = priorities or {}
        self._held: set[Name] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def take_back(self, namespace: str, name: str) -> None:
        """Its quota is needed elsewhere; it waits until `give_back`."""
        self._held.add((namespace, name))
        self._cluster.client.patch("jobs", name, {"spec": {"suspend": True}}, namespace)
        eventually(lambda: not self._active(namespace, name), timeout=30, what=f"no pods of {name}")
        template = {"spec": {"nodeSelector": dict.fromkeys(FLAVOUR)}}
        self._cluster.client.patch("jobs", name, {"spec": {"template": template}}, namespace)

    def give_back(self, namespace: str, name: str) -> None:
        self._held.discard((namespace, name))

    def _run(self) -> None:
        while not self._stop.wait(TICK):
            with contextlib.suppress(ApiError, OSError):
                self._admit()

    def _admit(self) -> None:
        jobs = [job for job in self._cluster.client.list("jobs") if QUEUE in (job["metadata"].get("labels") or {})]
        jobs = [job for job in jobs if not _over(job)]
        free = self.quota - sum(_pods(job) for job in jobs if not job["spec"].get("suspend"))
        waiting = [job for job in jobs if job["spec"].get("suspend") and _name(job) not in self._held]
        for job in sorted(waiting, key=self._turn):
            if _pods(job) > free:
                break
            free -= _pods(job)
            admitted = {"suspend": False, "template": {"spec": {"nodeSelector": FLAVOUR}}}
            namespace, name = _name(job)
            self._cluster.client.patch("jobs", name, {"spec": admitted}, namespace)

    def _turn(self, job: Object) -> tuple[int, str, str]:
        priority = self._priorities.get(job["metadata"]["labels"].get(PRIORITY, ""), 0)
        return -priority, job["metadata"]["creationTimestamp"], job["metadata"]["name"]

    def _active(self, namespace: str, name: str) -> bool:
        status = self._cluster.client.get("jobs", name, namespace).get("status", {})
        return bool(status.get("active") or status.get("terminating") or status.get("startTime"))

    def __enter__(self) -> Queue:
        for each in SUSPENDED:
            self._cluster.apply(each)

        def in_force() -> bool:
            made = self._cluster.client.create("jobs", _A_JOB, "default", dry_run=True)
            return bool(made["spec"].get("suspend"))

        eventually(in_force, timeout=30, what="Jobs with a queue's name come into being suspended")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=10)


_A_JOB: Object = {
    "metadata": {"name": "a-job", "labels": {QUEUE: "any"}},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "any"}]}}},
}


def _name(job: Object) -> Name:
    return job["metadata"]["namespace"], job["metadata"]["name"]


def _pods(job: Object) -> int:
    return int(job["spec"].get("parallelism") or 1)


def _over(job: Object) -> bool:
    if "deletionTimestamp" in job["metadata"]:
        return not job.get("status", {}).get("active")
    conditions = job.get("status", {}).get("conditions") or ()
    return any(each["type"] in ("Complete", "Failed") and each["status"] == "True" for each in conditions)
