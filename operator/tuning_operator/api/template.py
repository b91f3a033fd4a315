"""Whether a template can be a trial's Job, as far as that can be said without an API server. Templates of other kinds:
`object_template.py`.

Two kinds of problems: what no trial may do (reach the node, borrow another's rights), and what would quietly break the
study (a Job that restarts its pods, fields that the operator owns). That the fields exist and fit is for the dry run.
"""

from collections.abc import Collection, Iterator
from fnmatch import fnmatchcase
from typing import Any

from tuning_operator.api import kinds
from tuning_operator.api.problem import Problem, shown
from tuning_operator.api.study import TrialSpec

TEMPLATE = "spec.trial.template"
POD = f"{TEMPLATE}.spec.template.spec"
POD_POINTER = "/spec/template/spec"

HOST_FIELDS = ("hostNetwork", "hostPID", "hostIPC")
ACCOUNT_FIELDS = ("serviceAccountName", "serviceAccount")
CONTAINER_LISTS = ("containers", "initContainers", "ephemeralContainers")
OWNED_JOB_FIELDS = {
    "selector": "remove it; Kubernetes makes one for each Job",
    "manualSelector": "remove it; Kubernetes makes a selector for each Job",
    "managedBy": "remove it; the Job controller must run the Job",
    "suspend": "remove it; spec.suspend suspends the study",
}
KEPT_AT_LEAST = 300
"""Seconds that a Job must stay after its end, for the operator to record its result."""
ONE_POD_FIELDS = {
    "backoffLimit": (0, "retries of the study are spec.trial.retries"),
    "parallelism": (1, "a trial is one pod"),
    "completions": (1, "a trial is one pod"),
}
OWNED_ENVIRONMENT = ("TUNING_STUDY", "TUNING_TRIAL", "TUNING_TRIAL_NUMBER", "TUNING_ATTEMPT", "TUNING_ROLE")
OWNED_ENVIRONMENT_PREFIX = "TUNING_PARAM"


def template_problems(trial: TrialSpec, *, service_accounts: Collection[str] = ()) -> Iterator[Problem]:
    """What is wrong with the template of a Job."""
    if trial.template is None or kinds.named(trial) is not None:
        return
    job = trial.template.get("spec") or {}
    if not isinstance(job, dict):
        yield Problem(f"{TEMPLATE}.spec", shown(job), "write the spec of a Job: {template: {spec: {containers: ...}}}")
        return
    yield from metadata_problems(trial.template.get("metadata"), f"{TEMPLATE}.metadata")
    for field, remedy in OWNED_JOB_FIELDS.items():
        if job.get(field) not in (None, False):
            yield Problem(f"{TEMPLATE}.spec.{field}", shown(job[field]), remedy)
    for field, (only, why) in ONE_POD_FIELDS.items():
        if job.get(field, only) != only:
            yield Problem(f"{TEMPLATE}.spec.{field}", shown(job[field]), f"write {only} or remove it; {why}")
    kept = job.get("ttlSecondsAfterFinished")
    if isinstance(kept, int) and kept < KEPT_AT_LEAST:
        remedy = f"write at least {KEPT_AT_LEAST} or remove it; the result is read from the ended Job"
        yield Problem(f"{TEMPLATE}.spec.ttlSecondsAfterFinished", shown(kept), remedy)
    pod_template = job.get("template") or {}
    if not isinstance(pod_template, dict) or not isinstance(pod_template.get("spec") or {}, dict):
        yield Problem(
            f"{TEMPLATE}.spec.template", shown(pod_template), "write a pod template: {spec: {containers: ...}}"
        )
        return
    yield from metadata_problems(pod_template.get("metadata"), f"{TEMPLATE}.spec.template.metadata")
    pod = pod_template.get("spec") or {}
    yield from _pod(pod, service_accounts)
    yield from _containers(pod, needs_image=trial.trainer is None)


def binding_problems(trial: TrialSpec) -> Iterator[Problem]:
    """What is wrong with `spec.trial.bind`: a parameter must not choose rights, names or owners."""
    forbidden = _forbidden_target if kinds.named(trial) is None else _forbidden_in_object
    pointers = [bind.to for bind in trial.bind]
    for index, pointer in enumerate(pointers):
        where = f"spec.trial.bind[{index}].to"
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        if remedy := forbidden(parts) or _nowhere(parts, trial):
            yield Problem(where, pointer, remedy)
        for other in pointers:
            if other.startswith(f"{pointer}/"):
                yield Problem(where, pointer, f"holds {other}, which is bound too; keep one of them")


def metadata_problems(metadata: Any, where: str) -> Iterator[Problem]:
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        yield Problem(where, shown(metadata), "write an object with labels and annotations")
        return
    for field, value in metadata.items():
        if field not in ("labels", "annotations"):
            yield Problem(f"{where}.{field}", shown(value), "remove it; a template has labels and annotations only")
        elif not isinstance(value, dict):
            yield Problem(f"{where}.{field}", shown(value), "write name: value pairs")
        else:
            for key in value:
                if str(key).startswith("tuning.study/"):
                    remedy = "remove it; names that begin with tuning.study/ are the operator's"
                    yield Problem(f"{where}.{field}", str(key), remedy)


def account_remedy(account: Any, service_accounts: Collection[str]) -> str:
    """What to do instead where pods may not run as this service account; empty where they may."""
    allowed = sorted({"default", *service_accounts})
    if account in (None, "") or any(fnmatchcase(str(account), each) for each in allowed):
        return ""
    return f"trials may run as {', '.join(allowed)} only; remove it, or ask the administrator to allow this one"


def environment_remedy(name: str) -> str:
    """What to do instead where a variable is the operator's; empty where it is not."""
    if name in OWNED_ENVIRONMENT or name.startswith(OWNED_ENVIRONMENT_PREFIX):
        return "choose another name; the operator sets this one for every trial"
    return ""


def _pod(pod: dict[str, Any], service_accounts: Collection[str]) -> Iterator[Problem]:
    for field in HOST_FIELDS:
        if pod.get(field) not in (None, False):
            yield Problem(
                f"{POD}.{field}", shown(pod[field]), "remove it; a trial must not share the node's namespaces"
            )
    for field in ACCOUNT_FIELDS:
        if remedy := account_remedy(pod.get(field), service_accounts):
            yield Problem(f"{POD}.{field}", shown(pod[field]), remedy)
    if pod.get("restartPolicy") not in (None, "Never"):
        remedy = "write Never or remove it; retries of the study are spec.trial.retries"
        yield Problem(f"{POD}.restartPolicy", shown(pod["restartPolicy"]), remedy)
    for index, volume in enumerate(_objects(pod.get("volumes"))):
        if "hostPath" in volume:
            remedy = "a trial must not use the node's files; write a persistentVolumeClaim instead"
            yield Problem(f"{POD}.volumes[{index}].hostPath", shown(volume["hostPath"]), remedy)


def _containers(pod: dict[str, Any], *, needs_image: bool) -> Iterator[Problem]:
    containers = pod.get("containers")
    if needs_image and not _objects(containers):
        remedy = "is missing; write at least one container with an image, or use spec.trial.trainer"
        yield Problem(f"{POD}.containers", "" if containers is None else shown(containers), remedy)
    for field in CONTAINER_LISTS:
        held = pod.get(field)
        if held is not None and (not isinstance(held, list) or len(_objects(held)) != len(held)):
            yield Problem(f"{POD}.{field}", shown(held), "write a list of containers")
        for index, container in enumerate(_objects(held)):
            where = f"{POD}.{field}[{index}]"
            yield from _container(container, where)
            if field == "containers" and needs_image and not container.get("image"):
                yield Problem(f"{where}.image", "", "is missing; write the image of the trial")


def _container(container: dict[str, Any], where: str) -> Iterator[Problem]:
    security = container.get("securityContext")
    if isinstance(security, dict) and security.get("privileged"):
        remedy = "remove it; a trial must not have the node's rights"
        yield Problem(f"{where}.securityContext.privileged", shown(security["privileged"]), remedy)
    for index, port in enumerate(_objects(container.get("ports"))):
        if port.get("hostPort"):
            remedy = "remove it; two trials could not run on one node"
            yield Problem(f"{where}.ports[{index}].hostPort", shown(port["hostPort"]), remedy)
    for index, variable in enumerate(_objects(container.get("env"))):
        name = str(variable.get("name"))
        if remedy := environment_remedy(name):
            yield Problem(f"{where}.env[{index}].name", name, remedy)


def _forbidden_target(parts: list[str]) -> str:
    if parts[0] not in ("metadata", "spec"):
        return f"begin with /spec or /metadata; for example {POD_POINTER}/containers/0/image"
    if parts in (["spec"], ["spec", "template"], ["spec", "template", "spec"]):
        return "name one field below it, not the whole"
    metadata = parts[1:] if parts[0] == "metadata" else parts[3:] if parts[1:3] == ["template", "metadata"] else None
    if metadata is not None:
        if (
            len(metadata) != 2
            or metadata[0] not in ("labels", "annotations")
            or metadata[1].startswith("tuning.study/")
        ):
            return "of the metadata only labels and annotations can be bound, for example /metadata/labels/team"
        return ""
    if parts[1] != "template" and (parts[1] in OWNED_JOB_FIELDS or parts[1] in ONE_POD_FIELDS):
        return f"{parts[1]} is the operator's; bind another field"
    if parts[1] == "template" and parts[2] != "spec":
        return f"a pod template has metadata and spec; for example {POD_POINTER}/containers/0/image"
    pod = parts[3:]
    if pod and (pod[0] in (*HOST_FIELDS, *ACCOUNT_FIELDS, "restartPolicy")):
        return f"{pod[0]} cannot be a parameter; bind another field"
    if "hostPath" in pod or "privileged" in pod or "hostPort" in pod:
        return "a trial must not reach the node; bind another field"
    return ""


def _forbidden_in_object(parts: list[str]) -> str:
    """Of a kind that is not known: by names alone, wherever they stand."""
    if parts[0] not in ("metadata", "spec") or len(parts) == 1:
        return "begin with /spec or /metadata, and name one field below it"
    if parts[0] == "metadata" and (
        len(parts) != 3 or parts[1] not in ("labels", "annotations") or parts[2].startswith("tuning.study/")
    ):
        return "of the metadata only labels and annotations can be bound, for example /metadata/labels/team"
    if any(part.startswith("tuning.study/") for part in parts):
        return "names that begin with tuning.study/ are the operator's; bind another field"
    if parts[-1] in ("suspend", "managedBy") or {"ownerReferences", *HOST_FIELDS, *ACCOUNT_FIELDS} & {*parts}:
        return f"{parts[-1]} cannot be a parameter; bind another field"
    if {"hostPath", "privileged", "hostPort"} & {*parts}:
        return "a trial must not reach the node; bind another field"
    return ""


def _nowhere(parts: list[str], trial: TrialSpec) -> str:
    """Follow the pointer as far as the template goes. With the trainer the rest of the Job is not known here."""
    place: Any = trial.template
    for depth, part in enumerate(parts):
        way = "/" + "/".join(parts[:depth])
        if isinstance(place, dict):
            if part not in place:
                return ""  # it will be made; the dry run knows whether a Job has such a field
            place = place[part]
        elif isinstance(place, list):
            if part == "-" and depth == len(parts) - 1:
                return ""
            if not part.isdigit() or int(part) >= len(place):
                if trial.trainer is not None:
                    return ""
                return f"{way} has {len(place)} entries, and {part!r} is none of them; write a number from 0"
            place = place[int(part)]
        elif place is None:
            return ""
        else:
            return f"{way} is {shown(place)}, which has no fields; write a shorter pointer"
    return ""


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
