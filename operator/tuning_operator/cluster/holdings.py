"""How many accelerators one trial can hold at most, whatever its parameters come to: where a policy counts them, it is
counted as that.

What it asks for stands in `trial.accelerator` or in the template, or is chosen by a parameter that is bound to a limit.
Pure. An expression's values are not known before; an attempt that asks for more than is said here is refused
(`policy.py`).
"""

import copy
from collections.abc import Iterable
from typing import Any

from tuning_operator.api import kinds
from tuning_operator.api.parameters import Parameter
from tuning_operator.api.study import StudySpec
from tuning_operator.cluster.devices import CLAIMS, devices_of, whole_number
from tuning_operator.core.lifecycle import accelerators

Object = dict[str, Any]

MOST_CONTAINERS = 1000
"""A pointer beyond leads nowhere."""


def most_accelerators(spec: StudySpec) -> int:
    """Of all pods of a trial together. Of another kind than Job it is what the study says, to which it is held."""
    trial = spec.trial
    domain = _domain(trial.accelerator.resource)
    if not domain or kinds.named(trial) is not None:
        return accelerators(spec)
    written = _at(trial.template, ("spec", "template", "spec"))
    pod = copy.deepcopy(written) if isinstance(written, dict) else {}
    if trial.accelerator.count:
        _limits_of(pod, "containers", 0).setdefault(trial.accelerator.resource, trial.accelerator.count)
    for binding in trial.bind:
        place = _limit(binding.to, domain)
        if place is not None:
            where, index, name = place
            limits = _limits_of(pod, where, index)
            chosen = (most for each in spec.parameters if each.name == binding.parameter for most in _values(each))
            limits[name] = max([whole_number(limits.get(name)) or 0, *chosen])
    return _of_domain(devices_of(pod), domain) * trial.workers


def asked_for(job: Object, resource: str) -> int:
    """What the pods of a Job hold together of a vendor's devices; 0 where these are no devices."""
    domain, spec = _domain(resource), job["spec"]
    each = _of_domain(devices_of(spec["template"]["spec"]), domain) if domain else 0
    return each * int(spec.get("parallelism") or 1)


def _of_domain(held: Iterable[tuple[str, int]], domain: str) -> int:
    return sum(count for name, count in held if name == CLAIMS or name.startswith(domain))


def _domain(resource: str) -> str:
    """`nvidia.com/`; of resources of Kubernetes itself, whose amounts are no numbers of devices, none."""
    domain, slash, _ = resource.partition("/")
    return domain + slash if slash else ""


def _limits_of(pod: Object, where: str, index: int) -> Object:
    """Limits of one of its containers, to be changed; what a user wrote in their place, and is none, is left out."""
    containers = pod[where] = kinds.listed(pod.get(where))
    containers += ({} for _ in range(len(containers), index + 1))
    return _object_at(_object_at(containers[index], "resources"), "limits")


def _object_at(value: Object, name: str) -> Object:
    found = value[name] = value[name] if isinstance(value.get(name), dict) else {}
    return found


def _limit(pointer: str, domain: str) -> tuple[str, int, str] | None:
    """The container and the resource, if a pointer into the Job leads to a limit of the vendor's devices."""
    match [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]:
        case ["", "spec", "template", "spec", where, index, "resources", "limits", name] if name.startswith(domain):
            at = whole_number(index)
            if where in ("containers", "initContainers") and at is not None and at < MOST_CONTAINERS:
                return where, at, name
    return None


def _values(parameter: Parameter) -> list[int]:
    """Its values that can be numbers of devices."""
    if parameter.int_ is not None:
        return [int(parameter.int_.max)]
    numbers = map(whole_number, parameter.choice or parameter.ordinal or ())
    return [each for each in numbers if each is not None]


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value
