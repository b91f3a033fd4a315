"""Putting a Job together from parts: merging a template over a Job, and filling a field by JSON pointer.

Pure; knows nothing of studies.
"""

import copy
from typing import Any, Final

Object = dict[str, Any]

_KEYS: Final = ("name", "mountPath", "containerPort", "topologyKey", "devicePath", "ip")
"""By what entries of a list are the same entry, as strategic merge has it for the lists of a pod."""


class TemplateError(ValueError):
    """The template is not shaped like a Job, or a parameter cannot fill the field that it is bound to."""


def merged(base: Object, over: Object) -> Object:
    """`over` laid on `base`: objects field by field, lists of named entries entry by entry, anything else replaced.

    A null removes the field. Neither argument is changed.
    """
    result = copy.deepcopy(base)
    for key, value in over.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = merged(result[key], value)
        elif isinstance(value, list) and isinstance(result.get(key), list):
            result[key] = _merged_lists(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


def fill(document: Object, pointer: str, value: Any) -> None:
    """Set the field at an RFC 6901 pointer, making the objects on the way; `-` adds an entry to a list."""
    *way, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    place: Any = document
    for part in way:
        if isinstance(place, list):
            place = place[_index(place, part, pointer)]
        elif isinstance(place, dict):
            place = place.setdefault(part, {})
        else:
            break
    if isinstance(place, list):
        if last == "-":
            place.append(value)
        else:
            place[_index(place, last, pointer)] = value
    elif isinstance(place, dict):
        place[last] = value
    else:
        raise TemplateError(f"spec.trial.bind: {pointer}: leads through a value that is neither an object nor a list")


def _merged_lists(base: list[Any], over: list[Any]) -> list[Any]:
    key = next(
        (key for key in _KEYS if all(isinstance(entry, dict) and key in entry for entry in [*base, *over])), None
    )
    if key is None:
        return copy.deepcopy(over)
    result = {entry[key]: entry for entry in base}
    for entry in over:
        known = result.get(entry[key])
        result[entry[key]] = merged(known, entry) if known is not None else copy.deepcopy(entry)
    return list(result.values())


def _index(place: list[Any], part: str, pointer: str) -> int:
    if part.isdigit() and int(part) < len(place):
        return int(part)
    raise TemplateError(f"spec.trial.bind: {pointer}: the list has {len(place)} entries, and {part!r} is none of them")
