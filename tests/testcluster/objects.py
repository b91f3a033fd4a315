"""Doubles of controllers of other kinds than Job: a JobSet's, which makes Jobs, and a PyTorchJob's, which makes pods.

Shapes and words are those that the kinds publish, as far as a trial meets them: fields, labels of pods, conditions.
Nothing here knows of studies.
"""

from __future__ import annotations

import contextlib
import copy
import threading
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from tests.testcluster.client import ApiError, eventually
from tests.testcluster.cluster import Cluster

Object = dict[str, Any]

JOBSETS = "jobset.x-k8s.io/v1alpha2/jobsets"
PYTORCHJOBS = "kubeflow.org/v1/pytorchjobs"
TICK = 0.1
ENDS = ("Completed", "Succeeded", "Failed")
INDEX = "batch.kubernetes.io/job-completion-index"
_ANYTHING: Object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
_CONDITION: Object = {
    "type": "object",
    "required": ["type", "status"],
    "properties": {name: {"type": "string"} for name in ("type", "status", "reason", "message", "lastTransitionTime")},
}
_JOBSET_SPEC: Object = {
    "type": "object",
    "properties": {
        "suspend": {"type": "boolean"},
        "ttlSecondsAfterFinished": {"type": "integer", "minimum": 0},
        "failurePolicy": _ANYTHING,
        "coordinator": {
            "type": "object",
            "required": ["replicatedJob"],
            "properties": {
                "replicatedJob": {"type": "string"}, "jobIndex": {"type": "integer"}, "podIndex": {"type": "integer"}
            },
        },
        "replicatedJobs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "template"],
                "properties": {
                    "name": {"type": "string"},
                    "replicas": {"type": "integer", "default": 1},
                    "template": _ANYTHING,
                },
            },
        },
    },
}  # fmt: skip
_PYTORCHJOB_SPEC: Object = {
    "type": "object",
    "required": ["pytorchReplicaSpecs"],
    "properties": {
        "nprocPerNode": {"type": "string"},
        "elasticPolicy": _ANYTHING,
        "runPolicy": {
            "type": "object",
            "properties": {
                "backoffLimit": {"type": "integer"},
                "suspend": {"type": "boolean"},
                "cleanPodPolicy": {"type": "string"},
                "ttlSecondsAfterFinished": {"type": "integer"},
            },
        },
        "pytorchReplicaSpecs": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "replicas": {"type": "integer"},
                    "restartPolicy": {"type": "string", "enum": ["Always", "OnFailure", "Never", "ExitCode"]},
                    "template": _ANYTHING,
                },
            },
        },
    },
}


def a_crd(group: str, version: str, kind: str, spec: Object) -> Object:
    plural = f"{kind.lower()}s"
    status = {"type": "object", "properties": {"conditions": {"type": "array", "items": _CONDITION}}}
    schema = {"type": "object", "properties": {"spec": spec, "status": status}}
    served = {"name": version, "served": True, "storage": True, "subresources": {"status": {}}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # `x-k8s.io` groups are protected, and ask for an approval.
        "metadata": {
            "name": f"{plural}.{group}", "annotations": {"api-approved.kubernetes.io": "unapproved, a test's own"}
        },
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower()},
            "versions": [served | {"schema": {"openAPIV3Schema": schema}}],
        },
    }  # fmt: skip


CRDS = {
    JOBSETS: a_crd("jobset.x-k8s.io", "v1alpha2", "JobSet", _JOBSET_SPEC),
    PYTORCHJOBS: a_crd("kubeflow.org", "v1", "PyTorchJob", _PYTORCHJOB_SPEC),
}


def install(cluster: Cluster, resource: str) -> None:
    """Install a kind's CRD; returns once it is served."""
    cluster.apply(CRDS[resource])
    eventually(lambda: [cluster.client.list(resource)], timeout=60, what=f"{resource} are served")


def uninstall(cluster: Cluster, resource: str) -> None:
    """Take a kind's CRD away, and with it all of its objects; returns once it is not served."""
    name = CRDS[resource]["metadata"]["name"]
    cluster.client.delete("customresourcedefinitions", name)

    def gone() -> bool:
        try:
            cluster.client.list(resource)
        except ApiError as error:
            return error.status == 404 and cluster.client.find("customresourcedefinitions", name) is None
        return False

    eventually(gone, timeout=60, what=f"{resource} are gone")


class Controllers:
    """Both controllers, as long as the block lasts."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        while not self._stop.wait(TICK):
            for resource, each in ((JOBSETS, self._jobset), (PYTORCHJOBS, self._pytorchjob)):
                with contextlib.suppress(ApiError, OSError):
                    for body in self._cluster.client.list(resource):
                        if "deletionTimestamp" not in body["metadata"] and not _is(body, *ENDS):
                            each(body)

    def _jobset(self, body: Object) -> None:
        client, name, namespace = self._cluster.client, body["metadata"]["name"], body["metadata"]["namespace"]
        jobs = client.list("jobs", namespace, labels=f"jobset.sigs.k8s.io/jobset-name={name}")
        if body["spec"].get("suspend"):
            for job in jobs:
                client.delete("jobs", job["metadata"]["name"], namespace)
            self._say(JOBSETS, body, "Suspended", "JobSetSuspended", "jobset is suspended")
            return
        for replicated in body["spec"]["replicatedJobs"]:
            for index in range(replicated.get("replicas", 1)):
                child = _child_job(body, replicated, index)
                if child["metadata"]["name"] not in {job["metadata"]["name"] for job in jobs}:
                    client.create("jobs", child, namespace)
                    return
        failed = [job for job in jobs if _is(job, "Failed")]
        if failed:
            first = failed[0]["metadata"]["name"]
            message = f"jobset failed due to one or more job failures (first failed job: {first})"
            self._say(JOBSETS, body, "Failed", "FailedJobs", message)
            for job in jobs:
                if not _is(job, "Failed", "Complete"):
                    client.delete("jobs", job["metadata"]["name"], namespace)
        elif jobs and all(_is(job, "Complete") for job in jobs):
            self._say(JOBSETS, body, "Completed", "AllJobsCompleted", "jobset completed successfully")

    def _pytorchjob(self, body: Object) -> None:
        client, name, namespace = self._cluster.client, body["metadata"]["name"], body["metadata"]["namespace"]
        pods = {pod["metadata"]["name"]: pod for pod in client.list(
            "pods", namespace, labels=f"training.kubeflow.org/job-name={name}"
        )}  # fmt: skip
        if (body["spec"].get("runPolicy") or {}).get("suspend"):
            for pod in pods:
                client.delete("pods", pod, namespace)
            return
        for role, replica in body["spec"]["pytorchReplicaSpecs"].items():
            for index in range(replica.get("replicas", 1)):
                child = _child_pod(body, role.lower(), replica, index)
                if child["metadata"]["name"] not in pods:
                    client.create("pods", child, namespace)
                    return
        master = pods.get(f"{name}-master-0", {})
        failed = [pod for pod in pods.values() if pod["status"].get("phase") == "Failed"]
        if failed:
            self._say(PYTORCHJOBS, body, "Failed", "PyTorchJobFailed", f"PyTorchJob {name} is failed")
        elif master.get("status", {}).get("phase") == "Succeeded":
            self._say(PYTORCHJOBS, body, "Succeeded", "PyTorchJobSucceeded", f"PyTorchJob {name} is completed")

    def _say(self, resource: str, body: Object, kind: str, reason: str, message: str) -> None:
        if _is(body, kind):
            return
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        condition = {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}
        self._cluster.client.patch(
            resource, body["metadata"]["name"], {"status": {"conditions": [condition]}}, body["metadata"]["namespace"],
            subresource="status",
        )  # fmt: skip

    def __enter__(self) -> Controllers:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join(timeout=10)


def _child_job(body: Object, replicated: Object, index: int) -> Object:
    name = f"{body['metadata']['name']}-{replicated['name']}-{index}"
    labels = {
        "jobset.sigs.k8s.io/jobset-name": body["metadata"]["name"],
        "jobset.sigs.k8s.io/replicatedjob-name": replicated["name"],
        "jobset.sigs.k8s.io/job-index": str(index),
    }
    spec = copy.deepcopy(replicated["template"]["spec"])
    metadata = spec["template"].setdefault("metadata", {})
    metadata["labels"] = (metadata.get("labels") or {}) | labels
    spec["completionMode"] = "Indexed"
    spec.setdefault("parallelism", 1)
    spec.setdefault("completions", spec["parallelism"])
    return {"metadata": {"name": name, "labels": labels, "ownerReferences": [_owner(body)]}, "spec": spec}


def _child_pod(body: Object, role: str, replica: Object, index: int) -> Object:
    template = copy.deepcopy(replica["template"])
    labels = {
        "training.kubeflow.org/job-name": body["metadata"]["name"],
        "training.kubeflow.org/replica-type": role,
        "training.kubeflow.org/replica-index": str(index),
    }
    metadata = template.get("metadata") or {}
    return {
        "metadata": {
            "name": f"{body['metadata']['name']}-{role}-{index}",
            "labels": (metadata.get("labels") or {}) | labels,
            "ownerReferences": [_owner(body)],
        },
        "spec": template["spec"] | {"restartPolicy": replica.get("restartPolicy", "OnFailure")},
    }


def _owner(body: Object) -> Object:
    metadata = body["metadata"]
    return {
        "apiVersion": body["apiVersion"], "kind": body["kind"], "name": metadata["name"], "uid": metadata["uid"],
        "controller": True, "blockOwnerDeletion": True,
    }  # fmt: skip


def _is(body: Object, *kinds: str) -> bool:
    conditions = body.get("status", {}).get("conditions") or ()
    return any(each["type"] in kinds and each["status"] == "True" for each in conditions)
