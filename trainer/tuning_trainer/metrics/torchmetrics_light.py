"""torchmetrics' functions without importing all of torchmetrics.

`import torchmetrics` pulls in torchvision, scipy and torch's compiler, longer than a small trial trains. The functions
used here live in modules that need none of that, so their packages are entered without running the packages' own
imports. Afterwards the place-holders are taken away again, so that a later `import torchmetrics` gets the real one.
Where that does not work, torchmetrics is imported as a whole: slower, the same values.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import types
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGES = (
    "torchmetrics",
    "torchmetrics.functional",
    "torchmetrics.functional.classification",
    "torchmetrics.functional.regression",
)


@cache
def function(module: str, name: str) -> Any:
    """The function `name` of `torchmetrics.functional.<module>`, such as `classification.auroc`, `binary_auroc`."""
    path = f"torchmetrics.functional.{module}"
    if "torchmetrics" in sys.modules:
        return getattr(importlib.import_module(path), name)
    try:
        return getattr(_import_lightly(path), name)
    except (ImportError, AttributeError):
        for loaded in [m for m in sys.modules if m.partition(".")[0] == "torchmetrics"]:
            del sys.modules[loaded]
        return getattr(importlib.import_module(path), name)


def _import_lightly(path: str) -> types.ModuleType:
    found = importlib.util.find_spec("torchmetrics")
    if found is None or not found.submodule_search_locations:
        raise ImportError("torchmetrics is not installed; install the extra `trainer`")
    root = Path(found.submodule_search_locations[0]).parent
    for package in _PACKAGES:
        stand_in = types.ModuleType(package)
        stand_in.__path__ = [str(root.joinpath(*package.split(".")))]
        stand_in.__dict__["_logger"] = logging.getLogger("torchmetrics")
        sys.modules[package] = stand_in
    try:
        return importlib.import_module(path)
    finally:
        for package in _PACKAGES:
            sys.modules.pop(package, None)
