"""Pods inside an object of any kind, and fields of pods wherever they stand.

A controller that we do not know may make a pod of anything in its object. So what looks like a pod is one: an object
with a list of containers is a pod's spec, and what reaches for the node is found by its name alone, at any depth. Pure,
and without recursion: templates come from users.
"""

from collections.abc import Iterator
from typing import Any

Object = dict[str, Any]
Path = tuple[str | int, ...]

POD_LISTS = ("containers", "initContainers", "ephemeralContainers")


def fields(tree: Any, path: Path = ()) -> Iterator[tuple[Path, str, Any]]:
    """Every field at any depth: where it stands, its name and its value."""
    waiting: list[tuple[Path, Any]] = [(path, tree)]
    while waiting:
        at, node = waiting.pop()
        if isinstance(node, dict):
            for name, value in node.items():
                yield (*at, name), str(name), value
                waiting.append(((*at, name), value))
        elif isinstance(node, list):
            waiting += [((*at, index), value) for index, value in enumerate(node)]


def pod_templates(tree: Any) -> list[tuple[Path, Object]]:
    """What holds a pod's spec as its `spec`: a pod template, or the object itself. In the order of their places."""
    found = []
    waiting: list[tuple[Path, Any]] = [((), tree)]
    while waiting:
        at, node = waiting.pop()
        if isinstance(node, list):
            waiting += [((*at, index), value) for index, value in reversed(list(enumerate(node)))]
        if not isinstance(node, dict):
            continue
        if is_pod(node.get("spec")):
            found.append((at, node))
            continue
        waiting += [((*at, name), value) for name, value in reversed(node.items())]
    return found


def is_pod(spec: Any) -> bool:
    """Whether it looks like a pod's spec."""
    held = spec.get("containers") if isinstance(spec, dict) else None
    return isinstance(held, list) and bool(held) and all(isinstance(each, dict) for each in held)


def written(path: Path) -> str:
    """`spec.replicatedJobs[0].template`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
