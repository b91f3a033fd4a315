"""What the tests of the operator share: a control plane with our CRDs, and looks at what is in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.audit_history import history
from tests.history import Fact, Rests, check
from tests.operator_process import LEASE, install_crds
from tests.testcluster.client import eventually
from tests.testcluster.control_plane import ControlPlane, Options

Object = dict[str, Any]


@contextmanager
def operated_plane(**options: Any) -> Iterator[ControlPlane]:
    """A control plane whose audit log holds what was asked, so that the history checker can read it."""
    with ControlPlane(Options(audit="Request", **options)) as cluster:
        install_crds(cluster)
        yield cluster


def trials(cluster: ControlPlane, namespace: str, study: str) -> list[Object]:
    """Trials of a study by number."""
    found = [trial for trial in cluster.client.list("tuningtrials", namespace) if trial["spec"]["study"] == study]
    return sorted(found, key=lambda trial: trial["spec"]["number"])


def states(cluster: ControlPlane, namespace: str, study: str) -> list[str]:
    return [trial.get("status", {}).get("state", "Pending") for trial in trials(cluster, namespace, study)]


def condition(study: Object, kind: str) -> Object:
    conditions = study.get("status", {}).get("conditions", [])
    return next((each for each in conditions if each["type"] == kind), {})


def live_pods(cluster: ControlPlane, namespace: str) -> list[Object]:
    pods = cluster.client.list("pods", namespace)
    return [pod for pod in pods if pod.get("status", {}).get("phase") in ("Pending", "Running")]


def until(cluster: ControlPlane, namespace: str, name: str, what: str, test: Any, *, timeout: float = 60) -> Object:
    """The study once the test holds of it."""

    def there() -> Object | None:
        study = cluster.client.get("tuningstudies", name, namespace)
        return study if test(study) else None

    return eventually(there, timeout=timeout, interval=0.2, what=what)


def without_lease(cluster: ControlPlane) -> None:
    """Let the next operator lead at once: a killed one cannot give its lease back, and a test cannot wait."""
    if cluster.client.find("leases", LEASE, "default"):
        cluster.client.delete("leases", LEASE, "default")


def nothing_left(cluster: ControlPlane, namespace: str) -> None:
    """P6: no trial, no Job, no pod."""

    def left() -> list[str]:
        kinds = ("tuningtrials", "jobs", "pods")
        return [f"{kind}/{each['metadata']['name']}" for kind in kinds for each in cluster.client.list(kind, namespace)]

    eventually(lambda: not left(), timeout=60, what=f"nothing is left in {namespace}")


def promises_kept(cluster: ControlPlane, namespace: str, *studies: str, lease: str | None = None) -> list[Fact]:
    """The whole history of a namespace's studies, which have ended, keeps P1-P8."""
    time.sleep(1.0)  # the audit log is written behind
    facts = history(cluster.audit_events(), namespace=namespace, lease=lease)
    at = time.time()
    problems = check([*facts, *(Rests(at, study, finished=True) for study in studies)])
    assert not problems, "\n".join(map(str, problems))
    return facts
