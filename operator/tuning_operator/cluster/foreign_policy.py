"""The administrator's rules for trials that are no Jobs. Pure.

Fields of pods are looked for by their names at any depth, not only where pods are expected. Of a kind whose controller
adds pods that are not in the object (a runtime, a cluster that is there already) nobody can say what they are: where
rules restrict pods, such a kind is refused, unless the administrator names it among `kinds`.
"""

from collections.abc import Iterator
from typing import Any

from tuning_operator.api import kinds
from tuning_operator.api.pod_templates import Path, fields, pod_templates
from tuning_operator.cluster.devices import CLAIMS, devices_of

Object = dict[str, Any]


def kind_of(body: Object) -> kinds.Named:
    group, _, version = str(body.get("apiVersion", "")).rpartition("/")
    return kinds.Named(group, version, str(body.get("kind", "")))


def whole(body: Object) -> bool:
    """Whether every pod that comes of it is written out in it."""
    known = kinds.known(kind_of(body))
    return known is not None and known.whole and not body["spec"].get("clusterSelector")


def images(body: Object) -> Iterator[str]:
    """Of every container, wherever it stands; a container without one has an empty one."""
    for _, template in pod_templates(body):
        yield from (str(each.get("image", "")) for each in template["spec"]["containers"])
    yield from (value for _, name, value in fields(body["spec"]) if name == "image" and isinstance(value, str))


def volume_kinds(body: Object) -> Iterator[str]:
    for _, name, value in fields(body["spec"]):
        if name == "volumes":
            for volume in kinds.listed(value):
                yield next((key for key in volume if key != "name"), "emptyDir")
        elif name == "volumeClaimTemplates" and value:
            yield "persistentVolumeClaim"


def accelerators(body: Object, resource: str) -> int | None:
    """The most that its pods can hold at once of a vendor's devices; None where that cannot be said."""
    kind = kind_of(body)
    if (kind.group, kind.kind) not in _COPIES:
        return None
    domain = resource.partition("/")[0] + "/"
    total = 0
    for path, template in pod_templates(body):
        held = devices_of(template["spec"])
        each = sum(count for name, count in held if name == CLAIMS or name.startswith(domain))
        if not each:
            continue
        copies = _COPIES[kind.group, kind.kind](body["spec"], path)
        if copies is None:
            return None
        total += each * copies
    return total


def _jobset(spec: Object, path: Path) -> int | None:
    if len(path) < 3 or path[1] != "replicatedJobs" or not isinstance(path[2], int):
        return None
    job = spec["replicatedJobs"][path[2]]
    return _product(job.get("replicas"), (job["template"].get("spec") or {}).get("parallelism"))


def _pytorchjob(spec: Object, path: Path) -> int | None:
    if len(path) < 3 or path[1] != "pytorchReplicaSpecs":
        return None
    most = (spec.get("elasticPolicy") or {}).get("maxReplicas")
    replicas = spec["pytorchReplicaSpecs"][path[2]].get("replicas")
    return _most(replicas, most) if most is not None else _product(replicas)


def _rayjob(spec: Object, path: Path) -> int | None:
    if "workerGroupSpecs" not in path:
        return 1
    group: Any = spec
    for part in path[1 : path.index("workerGroupSpecs") + 2]:
        group = group[part]
    copies = _most(*(group.get(name) for name in ("replicas", "minReplicas", "maxReplicas")))
    hosts = _product(group.get("numOfHosts"))
    return None if copies is None or hosts is None else copies * hosts


_COPIES = {
    ("jobset.x-k8s.io", "JobSet"): _jobset,
    ("kubeflow.org", "PyTorchJob"): _pytorchjob,
    ("ray.io", "RayJob"): _rayjob,
}
"""How many pods come of the pod template at a place."""


def _product(*counts: Any) -> int | None:
    result = 1
    for count in counts:
        if count is not None and (isinstance(count, bool) or not isinstance(count, int)):
            return None
        result *= 1 if count is None else max(0, count)
    return result


def _most(*counts: Any) -> int | None:
    given = [count for count in counts if count is not None]
    if any(isinstance(count, bool) or not isinstance(count, int) for count in given):
        return None
    return max(given, default=1)
