"""Whether a template of another kind than Job can be a trial, as far as that can be said without an API server.

Its fields are its controller's; what we must know of it is said by the study (`kinds.py`). What no trial may do is
searched for by name at any depth: where an unknown controller takes its pods from is not known.
"""

from collections.abc import Collection, Iterator
from typing import Any

from tuning_operator.api import kinds, names
from tuning_operator.api.conditions import compile_condition
from tuning_operator.api.expressions import ExpressionError
from tuning_operator.api.pod_templates import Path, fields, is_pod, pod_templates, written
from tuning_operator.api.problem import Problem, shown
from tuning_operator.api.study import TrialSpec
from tuning_operator.api.template import (
    ACCOUNT_FIELDS,
    HOST_FIELDS,
    TEMPLATE,
    account_remedy,
    environment_remedy,
    metadata_problems,
)

_ONLY_OTHER_KINDS = ("successCondition", "failureCondition", "primaryPod")
_MISSING = {
    "successCondition": 'write when it has succeeded, for example object.status.phase == "Succeeded"',
    "failureCondition": 'write when it has failed, for example object.status.phase == "Failed"',
    "primaryPod": "write the labels of the pod that reports, for example {role: main}",
}


def object_problems(
    trial: TrialSpec, *, service_accounts: Collection[str] = (), local: bool = False
) -> Iterator[Problem]:
    """What is wrong with a template that names a kind, and with what only such a template needs."""
    template = trial.template or {}
    given = [name for name in ("apiVersion", "kind") if template.get(name)]
    kind = kinds.named(trial)
    if len(given) == 1:
        missing = "kind" if given == ["apiVersion"] else "apiVersion"
        yield Problem(f"{TEMPLATE}.{missing}", "", f"is missing; write it beside {given[0]}, or neither for a Job")
    if kind is None:
        said = (trial.success_condition, trial.failure_condition, trial.primary_pod)
        for name, value in zip(_ONLY_OTHER_KINDS, said, strict=True):
            if value is not None:
                remedy = "remove it, a Job says itself how it ended; or name another kind in the template"
                yield Problem(f"spec.trial.{name}", shown(value), remedy)
        return
    if local:
        remedy = f"a local run starts processes and knows no {kind.kind}; write a Job template for it"
        yield Problem(f"{TEMPLATE}.kind", kind.kind, remedy)
        return
    yield from _combinations(trial, kind)
    yield from _conditions(trial, kind)
    yield from metadata_problems(template.get("metadata"), f"{TEMPLATE}.metadata")
    spec = template.get("spec")
    if not isinstance(spec, dict) or not spec:
        yield Problem(f"{TEMPLATE}.spec", "" if spec is None else shown(spec), f"write the spec of a {kind.kind}")
        return
    yield from _suspended(spec, kind)
    yield from _pods(template, kind)
    yield from _reach(template, service_accounts)


def _combinations(trial: TrialSpec, kind: kinds.Named) -> Iterator[Problem]:
    if kind.group == names.GROUP:
        yield Problem(f"{TEMPLATE}.kind", kind.kind, "a trial cannot be one of the operator's own kinds; write another")
    if trial.trainer is not None:
        remedy = f"the shared trainer runs as a Job; remove trainer, or the kind {kind.kind} of the template"
        yield Problem("spec.trial.trainer", "", remedy)
    if trial.workers != 1:
        remedy = f"write 1 or remove it; the template of the {kind.kind} says how many pods there are"
        yield Problem("spec.trial.workers", shown(trial.workers), remedy)


def _conditions(trial: TrialSpec, kind: kinds.Named) -> Iterator[Problem]:
    success, failure = kinds.condition_texts(trial)
    said = {"successCondition": success, "failureCondition": failure, "primaryPod": kinds.primary_labels(trial)}
    for name, value in said.items():
        if not value:
            known = ", ".join(kinds.known_kinds())
            yield Problem(f"spec.trial.{name}", "", f"is missing; {_MISSING[name]} ({known} need none)")
        elif isinstance(value, str):
            try:
                compile_condition(value)
            except ExpressionError as error:
                yield Problem(f"spec.trial.{name}", shown(value), str(error))


def _suspended(spec: dict[str, Any], kind: kinds.Named) -> Iterator[Problem]:
    place: Any = spec
    path = kinds.suspend_path(kind)
    for part in path:
        place = place.get(part) if isinstance(place, dict) else None
    if place not in (None, False):
        remedy = "remove it; spec.suspend suspends the study"
        yield Problem(f"{TEMPLATE}.spec.{'.'.join(path)}", shown(place), remedy)


def _pods(template: dict[str, Any], kind: kinds.Named) -> Iterator[Problem]:
    """Each pod must be found, or nobody could know which trial it belongs to."""
    known = kinds.known(kind)
    if known is not None and not known.whole:
        return
    found = pod_templates(template)
    if not found:
        remedy = (
            "holds no pod template; the operator finds what has a spec with containers, and puts a trial's labels "
            "and variables there"
        )
        yield Problem(f"{TEMPLATE}.spec", "", remedy)
    places = {path for path, _ in found}
    for path, name, value in fields(template):
        inside = any(path[: len(place)] == place for place in places)
        if not inside and name != "spec" and is_pod(value):
            remedy = "looks like the spec of a pod, but stands in no pod template; write it as {metadata, spec}"
            yield Problem(_place(path), "", remedy)
    for path, found_template in found:
        for problem in metadata_problems(found_template.get("metadata"), _place((*path, "metadata"))) if path else ():
            if problem.path.rpartition(".")[2] not in ("name", "generateName", "creationTimestamp"):
                yield problem


def _reach(template: dict[str, Any], service_accounts: Collection[str]) -> Iterator[Problem]:
    """What reaches for the node, borrows another's rights or takes a name of ours."""
    for path, name, value in fields(template):
        remedy = ""
        if name in HOST_FIELDS and value not in (None, False):
            remedy = "remove it; a trial must not share the node's namespaces"
        elif name in ACCOUNT_FIELDS:
            remedy = account_remedy(value, service_accounts)
        elif name == "hostPath" and value is not None:
            remedy = "a trial must not use the node's files; write a persistentVolumeClaim instead"
        elif name == "privileged" and value not in (None, False):
            remedy = "remove it; a trial must not have the node's rights"
        elif name == "hostPort" and value:
            remedy = "remove it; two trials could not run on one node"
        elif name == "env":
            for index, variable in enumerate(kinds.listed(value)):
                if owned := environment_remedy(str(variable.get("name"))):
                    yield Problem(_place((*path, index, "name")), str(variable.get("name")), owned)
        if remedy:
            yield Problem(_place(path), shown(value), remedy)


def _place(path: Path) -> str:
    return f"{TEMPLATE}.{written(path)}"
