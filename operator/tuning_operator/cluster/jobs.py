"""From a study and one attempt of a trial to the Job that runs it, or by `objects.py` to an object of another kind.
Pure: same arguments, same Job.

The Job is the shared trainer's, or the user's template, or the trainer's with the template merged over it. What keeps
the promises is set last and by us, whatever a template says: name, owner, labels, and that a Job is one attempt (no
retries of its own: attempts are counted by the study). Everything else of the template stands. The trainer runs under
the `restricted` pod security standard; of a user's image we only take away what no image can need to start.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tuning_operator.api import kinds, names
from tuning_operator.api.sources import port_of
from tuning_operator.cluster import objects, rendezvous, sidecar
from tuning_operator.cluster.environment import CHECKPOINT_DIR, PARENT_DIR, parent_of, variables
from tuning_operator.core.model import Study, Trial
from tuning_operator.core.naming import job_name, object_name, trial_name
from tuning_operator.core.templates import Object, TemplateError, fill, merged
from tuning_operator.core.times import seconds

CONTAINER: Final = "trial"
VOLUME: Final = "tuning-checkpoint"
KEPT_SECONDS: Final = 24 * 3600
"""How long an ended Job stays for its logs. Also how long the operator may be down without losing a result."""


@dataclass(frozen=True)
class JobSettings:
    """What the installation decides."""

    trainer_image: str
    operator_image: str = ""
    """Of sidecars; empty: studies that need one are refused."""
    pull_policy: str = "IfNotPresent"


def job_for(study: Study, trial: Trial, *, attempt: int, owner: Object, settings: JobSettings) -> Object:
    """The Job, or the object of another kind, of one attempt.

    `owner` is an owner reference: the trial's, or for a dry run the study's. Raises `TemplateError`.
    """
    parameters = trial.suggestion.parameters
    env = variables(study, trial, attempt=attempt)
    kind = kinds.named(study.spec.trial)
    try:
        if kind is None:
            job = _unbound_job(study, trial, env, settings)
        else:
            job = objects.unbound(study, env, complete=lambda pod: _complete_foreign(study, pod, trial, env, settings))
        for binding in study.spec.trial.bind:
            if binding.parameter in parameters:
                fill(job, binding.to, parameters[binding.parameter])
        if kind is None:
            _keep_promises(job, study=study, number=trial.number, attempt=attempt, owner=owner)
        else:
            name = object_name(trial_name(study.name, study.uid, trial.number), attempt)
            ours = labels(study, number=trial.number) | {names.LABEL_ATTEMPT: str(attempt)}
            objects.keep_promises(job, study=study, name=name, labels=ours, owner=owner)
    except (AttributeError, TypeError, KeyError, IndexError) as error:
        # The API server keeps any template; what has not even the shape of its kind fails here, whatever it is.
        what = "Job" if kind is None else kind.kind
        raise TemplateError(
            f"spec.trial.template: is not shaped like a {what} ({error}); see `kubectl explain {what.lower()}.spec`"
        ) from error
    return job


def labels(study: Study, *, number: int) -> dict[str, str]:
    """Labels of a trial; its Jobs and pods have the attempt's as well."""
    return {
        names.LABEL_MANAGED_BY: names.MANAGED_BY,
        names.LABEL_STUDY: study.name[:63].rstrip("-."),
        names.LABEL_STUDY_UID: study.uid,
        names.LABEL_TRIAL: str(number),
    }


def queue_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Those of a study that its Jobs carry, too, so that a queue admits them one by one."""
    return {name: labels[name] for name in (names.LABEL_QUEUE, names.LABEL_QUEUE_PRIORITY) if name in labels}


def owner_reference(kind: str, *, name: str, uid: str) -> Object:
    return {"apiVersion": names.API_VERSION, "kind": kind, "name": name, "uid": uid, "controller": True}


def _unbound_job(study: Study, trial: Trial, env: Mapping[str, str], settings: JobSettings) -> Object:
    spec = study.spec.trial
    if spec.trainer is None:
        job = _empty_job() if spec.template is None else copy.deepcopy(spec.template)
    else:
        job = merged(_trainer_job(settings), _named(spec.template or {}))
    pod = _pod(job)
    _complete(study, pod, trial)
    sidecar.add(pod, study.spec, env, image=settings.operator_image)
    for container in pod["containers"]:
        container["env"] = objects.with_variables(container.get("env"), env)
    return job


def _empty_job() -> Object:
    return {"spec": {"template": {"spec": {"containers": [{"name": CONTAINER}]}}}}


def _trainer_job(settings: JobSettings) -> Object:
    container: Object = {
        "name": CONTAINER,
        "image": settings.trainer_image,
        "imagePullPolicy": settings.pull_policy,
        "securityContext": {"readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "shm", "mountPath": "/dev/shm"}],
    }
    pod: Object = {
        "containers": [container],
        "terminationGracePeriodSeconds": 60,
        "securityContext": {"runAsNonRoot": True},
        "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "shm", "emptyDir": {"medium": "Memory"}}],
    }
    return {"spec": {"template": {"spec": pod}}}


def _named(template: Object) -> Object:
    """With the trainer, the first container of the template is the trainer's, whether or not it says so."""
    template = copy.deepcopy(template)
    containers = ((template.get("spec") or {}).get("template") or {}).get("spec", {}).get("containers")
    if containers and isinstance(containers[0], dict) and not any(c.get("name") == CONTAINER for c in containers):
        containers[0]["name"] = CONTAINER
    return template


def _pod(job: Object) -> Object:
    """The pod's spec, with at least one container. A shape that is quite wrong is left for the dry run to name."""
    spec = job.setdefault("spec", {})
    template = spec.setdefault("template", {})
    pod: Object = template.setdefault("spec", {})
    if not pod.get("containers"):
        pod["containers"] = [{"name": CONTAINER}]
    for index, container in enumerate(pod["containers"]):
        container.setdefault("name", CONTAINER if index == 0 else f"{CONTAINER}-{index}")
    return pod


def _complete(study: Study, pod: Object, trial: Trial) -> None:
    """Defaults that a template may overrule, and what the trial contract promises to the first container."""
    spec = study.spec
    pod.setdefault("automountServiceAccountToken", False)
    pod.setdefault("enableServiceLinks", False)
    _restrict(pod)
    if spec.trial.timeout is not None:
        # On the pod, not on the Job: time in a queue is not time of the attempt.
        pod.setdefault("activeDeadlineSeconds", int(seconds(spec.trial.timeout)))
    first: Object = pod["containers"][0]
    accelerator = spec.trial.accelerator
    if accelerator.count:
        first.setdefault("resources", {}).setdefault("limits", {}).setdefault(accelerator.resource, accelerator.count)
    _serve_metrics(first, port_of(spec))
    _mount_checkpoints(study, pod, trial)


def _complete_foreign(study: Study, pod: Object, trial: Trial, env: Mapping[str, str], settings: JobSettings) -> None:
    """The same for a pod of another kind, without what its controller may need (a token) or counts itself (time,
    accelerators)."""
    _restrict(pod)
    _serve_metrics(pod["containers"][0], port_of(study.spec))
    _mount_checkpoints(study, pod, trial)
    sidecar.add(pod, study.spec, env, image=settings.operator_image)


def _restrict(pod: Object) -> None:
    pod.setdefault("securityContext", {}).setdefault("seccompProfile", {"type": "RuntimeDefault"})
    for container in pod["containers"]:
        container.setdefault("securityContext", {}).setdefault("allowPrivilegeEscalation", False)
        container.setdefault("terminationMessagePolicy", "FallbackToLogsOnError")


def _serve_metrics(container: Object, number: int) -> None:
    ports = container.setdefault("ports", [])
    if not any(port.get("containerPort") == number for port in ports):
        ports.append({"name": "tuning-metrics", "containerPort": number})


def _mount_checkpoints(study: Study, pod: Object, trial: Trial) -> None:
    """A folder of the claim for each trial, the same for all of its attempts, and further ones for its replicates,
    which are trainings of their own; without a claim one that goes with the pod. What a trial begins with is another
    trial's folder, which it cannot change."""
    claim = study.spec.trial.checkpoints.claim_name
    own = trial_name(study.name, study.uid, trial.number)
    if trial.replicates:
        own += f"-replicate-{len(trial.replicates)}"
    folders = {CHECKPOINT_DIR: own, PARENT_DIR: parent_of(study, trial)}
    mounts = pod["containers"][0].setdefault("volumeMounts", [])
    taken = {mount.get("mountPath") for mount in mounts}
    missing = {path: folder for path, folder in folders.items() if folder is not None and path not in taken}
    for path, folder in missing.items():
        mount: Object = {"name": VOLUME, "mountPath": path}
        if claim is not None:
            mount["subPath"] = folder
        if path == PARENT_DIR:
            mount["readOnly"] = True
        mounts.append(mount)
    if missing:
        source: Object = {"emptyDir": {}} if claim is None else {"persistentVolumeClaim": {"claimName": claim}}
        pod.setdefault("volumes", []).append({"name": VOLUME} | source)
    if missing and claim is not None and study.spec.trial.trainer is not None:
        pod["securityContext"].setdefault("fsGroup", 65532)
        pod["securityContext"].setdefault("fsGroupChangePolicy", "OnRootMismatch")


def _keep_promises(job: Object, *, study: Study, number: int, attempt: int, owner: Object) -> None:
    ours = labels(study, number=number) | {names.LABEL_ATTEMPT: str(attempt)}
    metadata = job.setdefault("metadata", {})
    job |= {"apiVersion": "batch/v1", "kind": "Job"}
    job["metadata"] = {
        "name": job_name(trial_name(study.name, study.uid, number), attempt),
        "namespace": study.namespace,
        "labels": queue_labels(study.labels) | (metadata.get("labels") or {}) | ours,
        "ownerReferences": [owner],
    }
    if metadata.get("annotations"):
        job["metadata"]["annotations"] = metadata["annotations"]
    spec: Any = job["spec"]
    workers = study.spec.trial.workers
    spec |= {"backoffLimit": 0, "podReplacementPolicy": "Failed", "parallelism": workers, "completions": workers}
    if workers > 1:
        spec["completionMode"] = "Indexed"
    spec.setdefault("ttlSecondsAfterFinished", KEPT_SECONDS)
    # With backoffLimit 0 every failed pod fails its Job; this lets the Job say which kind it was. No rule on exit codes
    # may stand here: it would match the pods that are stopped when a queue suspends the Job, and fail a Job that is to
    # go on one day.
    spec.setdefault(
        "podFailurePolicy", {"rules": [{"action": "FailJob", "onPodConditions": [{"type": "DisruptionTarget"}]}]}
    )
    template = spec["template"]
    template["metadata"] = merged(template.get("metadata") or {}, {"labels": ours})
    template["spec"]["restartPolicy"] = "Never"
    if workers > 1:
        rendezvous.join(template["spec"], study=study, job=job["metadata"]["name"])
