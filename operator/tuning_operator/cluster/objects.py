"""From a study whose trials are of another kind than Job, and one attempt, to the object that runs it. Pure.

The template stands; what the trial contract promises goes into every pod template that is found in it
(`api/pod_templates.py`): labels by which its pods are known, variables, the checkpoint, the port of metrics. Of the
kinds that are known, retries of the controller are off unless the template says otherwise: attempts are counted by the
study.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any, Final

from tuning_operator.api import kinds, names
from tuning_operator.api.pod_templates import pod_templates
from tuning_operator.core.model import Study
from tuning_operator.core.templates import Object, TemplateError, merged

KEPT_SECONDS: Final = 24 * 3600
PATCH: Final = "tuning.study/operator"
"""Name of our entry in the runtime patches of a TrainJob."""
_TRAIN_NODE: Final = "node"
"""The trainer's Job and container in every TrainingRuntime."""


def unbound(study: Study, env: Mapping[str, str], *, complete: Callable[[Object], None]) -> Object:
    """The template with what is ours; parameters are bound to it next. `complete` does to a pod's spec what every
    trial's pod gets, but for variables."""
    kind = kinds.named(study.spec.trial)
    assert kind is not None
    body: Object = copy.deepcopy(study.spec.trial.template or {})
    spec = body["spec"]
    prepare = _PREPARE.get((kind.group, kind.kind))
    if prepare is not None:
        prepare(spec)
    known = kinds.known(kind)
    if known is not None and not known.whole:
        _into_runtime(spec, env, complete)
        return body
    found = pod_templates(body)
    if not found:
        raise TemplateError("spec.trial.template.spec: holds no pod template")
    for _, template in found:
        pod = template["spec"]
        complete(pod)
        for container in pod["containers"]:
            container["env"] = with_variables(container.get("env"), env)
    return body


def with_variables(own: Any, env: Mapping[str, str]) -> list[Object]:
    """Ours first, so that a template's own variables and arguments may refer to them."""
    given = own or []
    taken = {entry.get("name") for entry in given}
    return [{"name": name, "value": value} for name, value in env.items() if name not in taken] + list(given)


def keep_promises(body: Object, *, study: Study, name: str, labels: Mapping[str, str], owner: Object) -> None:
    """What no template and no parameter may say otherwise: name, owner, and whose its pods are."""
    kind = kinds.named(study.spec.trial)
    assert kind is not None
    metadata = body.get("metadata") or {}
    queue = {label: study.labels[label] for label in _QUEUE if label in study.labels}
    body["metadata"] = {
        "name": name,
        "namespace": study.namespace,
        "labels": queue | (metadata.get("labels") or {}) | dict(labels),
        "ownerReferences": [owner],
    }
    if metadata.get("annotations"):
        body["metadata"]["annotations"] = metadata["annotations"]
    ours = {"labels": {**labels, names.LABEL_KIND: kind.kind}}
    for path, template in pod_templates(body):
        if path:
            template["metadata"] = merged(template.get("metadata") or {}, ours)
    if not pod_templates(body["spec"]) and (kind.group, kind.kind) == _TRAINJOB:
        _patch(body["spec"])["metadata"] = ours


_QUEUE: Final = (names.LABEL_QUEUE, names.LABEL_QUEUE_PRIORITY)
_TRAINJOB: Final = ("trainer.kubeflow.org", "TrainJob")


def _into_runtime(spec: Object, env: Mapping[str, str], complete: Callable[[Object], None]) -> None:
    """A TrainJob has no pod template: its trainer takes variables, the rest goes as a patch of its runtime."""
    trainer = spec.setdefault("trainer", {})
    trainer["env"] = with_variables(trainer.get("env"), env)
    pod: Object = {"containers": [{"name": _TRAIN_NODE}]}
    complete(pod)
    mounts = pod["containers"][0].get("volumeMounts") or []
    patch = _patch(spec)
    if mounts:
        patch["spec"] = {
            "volumes": pod.get("volumes") or [],
            "containers": [{"name": _TRAIN_NODE, "volumeMounts": mounts}],
        }


def _patch(spec: Object) -> Object:
    """Our patch of the trainer's pod template; made where it is missing."""
    patches = spec.setdefault("runtimePatches", [])
    mine = next((each for each in patches if each.get("manager") == PATCH), None)
    if mine is None:
        job = {"name": _TRAIN_NODE, "template": {"spec": {"template": {}}}}
        mine = {"manager": PATCH, "trainingRuntimeSpec": {"template": {"spec": {"replicatedJobs": [job]}}}}
        patches.append(mine)
    found: Object = mine["trainingRuntimeSpec"]["template"]["spec"]["replicatedJobs"][0]["template"]["spec"]["template"]
    return found


def _jobset(spec: Object) -> None:
    spec.setdefault("ttlSecondsAfterFinished", KEPT_SECONDS)
    for job in kinds.listed(spec.get("replicatedJobs")):
        inner = job.get("template", {}).get("spec", {})
        inner.setdefault("backoffLimit", 0)
        for _, template in pod_templates(inner):
            template["spec"].setdefault("restartPolicy", "Never")


def _pytorchjob(spec: Object) -> None:
    policy = spec.setdefault("runPolicy", {})
    policy.setdefault("backoffLimit", 0)
    policy.setdefault("ttlSecondsAfterFinished", KEPT_SECONDS)
    for replica in (spec.get("pytorchReplicaSpecs") or {}).values():
        replica.setdefault("restartPolicy", "Never")


def _rayjob(spec: Object) -> None:
    spec.setdefault("shutdownAfterJobFinishes", True)


_PREPARE: Final[dict[tuple[str, str], Callable[[Object], None]]] = {
    ("jobset.x-k8s.io", "JobSet"): _jobset,
    ("kubeflow.org", "PyTorchJob"): _pytorchjob,
    ("ray.io", "RayJob"): _rayjob,
}
