"""Prints the sizes of an image's packages in MB, those of torch together and each other one, and its tools to build."""

import json
import os
import shutil
from importlib.metadata import distributions

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

KNOWN = {canonicalize_name(each.name): each for each in distributions()}


def closure(root: str) -> set[str]:
    """A package and all that it brings along here."""
    found: set[str] = set()
    waiting = [root]
    while waiting:
        name = canonicalize_name(waiting.pop())
        if name in found or name not in KNOWN:
            continue
        found.add(name)
        # With every extra, as torch asks the CUDA toolkit for the parts it needs.
        waiting += [
            each.name
            for each in map(Requirement, KNOWN[name].requires or ())
            if each.marker is None or name == "cuda-toolkit" or each.marker.evaluate({"extra": ""})
        ]
    return found


def size(name: str) -> float:
    paths = {str(file.locate()) for file in KNOWN[name].files or ()}
    return sum(os.lstat(path).st_size for path in paths if os.path.lexists(path)) / 1e6


if __name__ == "__main__":
    torch = closure("torch")
    others = {name: size(name) for name in KNOWN if name not in torch}
    tools = [tool for tool in ("cc", "gcc", "g++", "make", "ld", "strip", "git") if shutil.which(tool)]
    print(json.dumps({"torch": sum(map(size, torch)), "others": others, "tools": tools}))
