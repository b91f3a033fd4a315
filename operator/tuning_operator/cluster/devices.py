"""How many devices a pod holds: extended resources and claims, counted as the scheduler counts them."""

from collections.abc import Mapping
from typing import Any, Final

from tuning_operator.api.kinds import listed

Object = Mapping[str, Any]

CLAIMS: Final = ""
"""Stands for the name of a resource where a pod holds claims (DRA), each of which counts as one device."""


def devices_of(spec: Object) -> tuple[tuple[str, int], ...]:
    """What a pod holds at most at one time: what has a domain in its name is an extended resource, which comes in whole
    numbers. Init containers come one after the other, each beside the sidecars before it (KEP-753).
    """
    beside: dict[str, int] = {}
    most: dict[str, int] = {}
    for container in listed(spec.get("initContainers")):
        limits = _device_limits(container)
        if container.get("restartPolicy") == "Always":
            beside = _sum(beside, limits)
        else:
            most = _most(most, _sum(beside, limits))
    together = beside
    for container in listed(spec.get("containers")):
        together = _sum(together, _device_limits(container))
    held = _most(most, together)
    claims = listed(spec.get("resourceClaims"))
    if claims:
        held[CLAIMS] = len(claims)
    return tuple(sorted(held.items()))


def _device_limits(container: Object) -> dict[str, int]:
    resources = container.get("resources")
    limits = resources.get("limits") if isinstance(resources, Mapping) else None
    amounts = limits.items() if isinstance(limits, Mapping) else ()
    numbers = {str(name): whole_number(amount) for name, amount in amounts if "/" in str(name)}
    return {name: number for name, number in numbers.items() if number is not None}


def _sum(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in one.keys() | other.keys()}


def _most(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in one.keys() | other.keys()}


def whole_number(amount: Any) -> int | None:
    """What an amount says, if it is a number of devices."""
    text = str(amount)
    return int(text) if text.isdecimal() and len(text) < 10 else None
