"""`Sidecar`: the container beside the trial that follows its metrics, and how the operator asks it for the report.

The container is a native sidecar (an init container that goes on, Kubernetes 1.29 and newer): it is there before the
trial begins, does not keep the pod from being done, and is stopped after it. It meets the `restricted` pod security
standard, has no token, and needs no right of the pod's account.
"""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from tuning_operator.api.sources import port_of, source_of
from tuning_operator.api.study import MetricsSource, StudySpec
from tuning_operator.cluster.collect import Seen, Target
from tuning_operator.cluster.scrape import bounded, url
from tuning_operator.cluster.seen import SIDECAR
from tuning_operator.core.templates import TemplateError
from tuning_operator.metrics.sidecar import AFTER, CURSOR, PATH, PORT
from tuning_trial.report import MAX_BYTES, Report

_TOLD: Final = ("TUNING_OBJECTIVES", "TUNING_FIDELITY")
"""Variables of the trial contract that it needs."""


def add(pod: dict[str, Any], spec: StudySpec, env: Mapping[str, str], *, image: str) -> None:
    """Puts the sidecar into a pod, where the study's values come by it."""
    if source_of(spec) is not MetricsSource.SIDECAR:
        return
    if not image:
        raise TemplateError("spec.metrics.source: Sidecar: this operator was started without --operator-image")
    others = [constraint.metric for constraint in spec.constraints]
    arguments = [f"--port={port_of(spec)}", f"--path={spec.metrics.path}", f"--listen={_port(spec)}"]
    container = {
        "name": SIDECAR,
        "image": image,
        "restartPolicy": "Always",
        "args": ["sidecar", *arguments, *(f"--metric={metric}" for metric in others)],
        "env": [{"name": name, "value": env[name]} for name in _TOLD if name in env],
        "ports": [{"name": "tuning-report", "containerPort": _port(spec)}],
        "resources": {"requests": {"cpu": "10m", "memory": "48Mi"}, "limits": {"memory": "128Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "runAsUser": 65532,
        },
    }
    pod["initContainers"] = [*(pod.get("initContainers") or []), container]


class SidecarReader:
    def __init__(self, session: aiohttp.ClientSession, *, port: int | None = None) -> None:
        """`port`: where sidecars listen, if not where we put them."""
        self._session = session
        self._port = port

    async def look(self, target: Target) -> Seen:
        address = url(target.pod.address, self._port or _port(target.spec), f"{PATH}?{AFTER}={target.cursor or 0}")
        async with self._session.get(address, allow_redirects=False) as response:
            if response.status == 204:
                return Seen(target.report)
            if response.status != 200:
                raise ValueError(f"{address} answered {response.status}")
            report = Report.parse(await bounded(response, MAX_BYTES))
            cursor = response.headers.get(CURSOR, "")
        target.cursor = int(cursor) if cursor.isdecimal() and len(cursor) < 18 else 0
        return Seen(report)

    def grace(self, target: Target) -> float:
        return 0.0


def _port(spec: StudySpec) -> int:
    """Its own, whatever the trial's is."""
    return PORT if port_of(spec) != PORT else PORT + 1
