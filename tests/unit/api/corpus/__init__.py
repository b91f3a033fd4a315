"""Good and bad studies, with what is to be said about them: one corpus for `tuning check` and for the API server."""

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tuning_operator.api.load import load_file

HERE = Path(__file__).parent

BASE: dict[str, Any] = {
    "apiVersion": "tuning.study/v1alpha1",
    "kind": "TuningStudy",
    "metadata": {"name": "a-study"},
    "spec": {
        "objectives": [{"metric": "val_accuracy", "goal": "Maximize"}],
        "parameters": [{"name": "lr", "float": {"min": 0.001, "max": 0.1, "scale": "Log"}}],
        "limits": {"trials": 10},
        "trial": {"trainer": {"data": {"name": "digits"}}},
    },
}


@dataclass(frozen=True)
class Case:
    """A study and the verdict on it."""

    name: str
    document: dict[str, Any]
    refused: str = ""
    """What `tuning check` says of a study that the API server refuses; `{}` stands for any text."""
    server: str = ""
    """What the API server says of it."""
    invalid: str = ""
    """What the operator says of a study that the API server takes."""


def a_study(**fields: Any) -> dict[str, Any]:
    """The base study with these fields of its spec replaced; None removes one."""
    document = copy.deepcopy(BASE)
    for name, value in fields.items():
        if value is None:
            document["spec"].pop(name, None)
        else:
            document["spec"][name] = value
    return document


def cases() -> list[Case]:
    """The whole corpus, in the order of its files."""
    found = []
    for path in sorted(HERE.glob("*.yaml")):
        (table,) = load_file(path)
        for row in table.value:
            document = a_study(**row.get("spec", {}))
            document["metadata"] |= row.get("metadata", {})
            refused = row.get("refused", "")
            server = row.get("server", refused)
            found.append(Case(row["name"], document, refused, server, row.get("invalid", "")))
    return found


def says(fragment: str, text: str) -> bool:
    """Whether the text has the fragment, whose `{}` stands for anything."""
    at = 0
    for part in fragment.split("{}"):
        at = text.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return True
