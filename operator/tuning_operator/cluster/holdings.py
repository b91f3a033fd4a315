"""How many accelerators one trial can hold at most, whatever its parameters come to: where a policy counts them, it is
counted as that.

What it asks for stands in `trial.accelerator` or in the template, or is chosen by a parameter that is bound to a limit.
Pure. An expression's values are not known before; an attempt that asks for more than is said here is refused
(`policy.py`).
"""

from collections.abc import Iterator
from typing import Any

from tuning_operator.api import kinds
from tuning_operator.api.parameters import Parameter
from tuning_operator.api.study import StudySpec
from tuning_operator.cluster.seen import CLAIMS, devices_of, whole_number
from tuning_operator.core.lifecycle import accelerators

Object = dict[str, Any]


def most_accelerators(spec: StudySpec) -> int:
    """Of all pods of a trial together. Of another kind than Job it is what the study says, to which it is held."""
    trial = spec.trial
    domain = _domain(trial.accelerator.resource)
    if not domain or kinds.named(trial) is not None:
        return accelerators(spec)
    pod = _at(trial.template, ("spec", "template", "spec"))
    limits = dict(_limits(pod if isinstance(pod, dict) else {}, domain))
    if trial.accelerator.count:
        limits.setdefault(("0", trial.accelerator.resource), trial.accelerator.count)
    for binding in trial.bind:
        place = _limit(binding.to, domain)
        if place is not None:
            chosen = (most for each in spec.parameters if each.name == binding.parameter for most in _values(each))
            limits[place] = max([limits.get(place, 0), *chosen])
    claims = _at(pod, ("resourceClaims",))
    return (sum(limits.values()) + len(kinds.listed(claims))) * trial.workers


def asked_for(job: Object, resource: str) -> int:
    """What the pods of a Job hold together of a vendor's devices; 0 where these are no devices."""
    domain, spec = _domain(resource), job["spec"]
    held = devices_of(spec["template"]["spec"]) if domain else ()
    each = sum(count for name, count in held if name == CLAIMS or name.startswith(domain))
    return each * int(spec.get("parallelism") or 1)


def _domain(resource: str) -> str:
    """`nvidia.com/`; of resources of Kubernetes itself, whose amounts are no numbers of devices, none."""
    domain, slash, _ = resource.partition("/")
    return domain + slash if slash else ""


def _limits(pod: Object, domain: str) -> Iterator[tuple[tuple[str, str], int]]:
    for index, container in enumerate(kinds.listed(pod.get("containers"))):
        limits = _at(container, ("resources", "limits"))
        for name, amount in limits.items() if isinstance(limits, dict) else ():
            if str(name).startswith(domain):
                yield (str(index), str(name)), whole_number(amount) or 0


def _limit(pointer: str, domain: str) -> tuple[str, str] | None:
    """The container and the resource, if a pointer into the Job leads to a limit of the vendor's devices."""
    match [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")]:
        case ["", "spec", "template", "spec", "containers", index, "resources", "limits", name]:
            return (index, name) if name.startswith(domain) else None
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
