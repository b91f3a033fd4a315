"""The settings for programs that have no trainer: a JSON schema and a table of every name a parameter may have.

`tuning check` uses a checked-in copy to refuse unknown settings before a pod starts; `drift` says whether the copy is
the truth.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticUndefined

from tuning_trainer.config.names import Setting, catalogue
from tuning_trainer.config.parent import shared
from tuning_trainer.config.root import TrainerConfig

_BOUNDS = {"minimum": min, "exclusiveMinimum": min, "maximum": max, "exclusiveMaximum": max}


def document() -> dict[str, Any]:
    """The machine-readable description of all settings.

    `settings`: path -> type (JSON types), bounds (the widest of all members), `choices` (the texts allowed, if text is
    limited), `values` (the whole numbers allowed, if only some are), `members` (choice of sections -> members that have
    the setting), `default`, `required`, `description`, `shared` (a trial that goes on from another's checkpoint must
    have the same value).
    `names`: every name that a parameter may have -> its path, or a list of paths where the name alone is ambiguous.
    `open`: settings in which any name may be set.
    `sections`: paths that hold settings. `choices`: path of a choice of sections -> its members. `schema`: JSON schema.
    """
    known = catalogue()
    return {
        "version": 1,
        "settings": {path: describe(setting) for path, setting in known.settings.items()},
        "open": sorted(known.open),
        "names": {name: paths[0] if len(paths) == 1 else list(paths) for name, paths in known.names.items()},
        "sections": sorted(known.sections),
        "choices": {path: sorted(members) for path, members in sorted(known.choices.items())},
        "defaults": dict(sorted(known.defaults.items())),
        "schema": TrainerConfig.model_json_schema(),
    }


def describe(setting: Setting) -> dict[str, Any]:
    """One row of the table of settings."""
    parts = [p for v in setting.variants for p in _parts(v.owner, v.field)]
    row: dict[str, Any] = {"type": sorted({p["type"] for p in parts})}
    for bound, widest in _BOUNDS.items():
        numeric = [p for p in parts if p["type"] in ("integer", "number")]
        if numeric and all(bound in p for p in numeric):
            row[bound] = widest(p[bound] for p in numeric)
    texts = [p for p in parts if p["type"] == "string"]
    if texts and all("enum" in p for p in texts):
        row["choices"] = sorted({c for p in texts for c in p["enum"]})
    numbers = [p for p in parts if p["type"] == "integer"]
    if numbers and all("enum" in p for p in numbers):
        row["values"] = sorted({value for p in numbers for value in p["enum"]})
    own = setting.path.removesuffix(".name")
    sections = sorted({s for v in setting.variants for s in v.needs if s != own})
    members = {s: sorted(m) for s in sections if (m := setting.members(s)) is not None}
    if members:
        row["members"] = members
    if shared(setting.path):
        row["shared"] = True
    infos = [v.info for v in setting.variants]
    defaults = [i.get_default(call_default_factory=True, validated_data={}) for i in infos]
    if setting.leaf == "name":
        section = setting.path.rpartition(".")[0]
        row["required"] = section not in catalogue().defaults
        row["default"] = catalogue().defaults.get(section)
        row["description"] = f"Which member of {section}."
        return row
    row["required"] = any(d is PydanticUndefined for d in defaults)
    distinct = {json.dumps(d) for d in defaults if d is not PydanticUndefined}
    if len(distinct) == 1:
        row["default"] = json.loads(distinct.pop())
    row["description"] = " ".join(next((i.description for i in infos if i.description), "").split())
    return row


def text() -> str:
    """The document as the text of the checked-in file."""
    return json.dumps(document(), indent=1, ensure_ascii=True) + "\n"


def drift(path: Path) -> str | None:
    """What is wrong with the checked-in copy at `path`, with the remedy; None when it is the truth."""
    remedy = f"write it with: python -m tuning_trainer --schema --write {path}"
    try:
        stored = path.read_text()
    except OSError as error:
        return f"{path} cannot be read ({error.strerror}); {remedy}"
    return None if stored == text() else f"{path} is not the schema of these settings; {remedy}"


def _parts(owner: Any, field: str) -> list[dict[str, Any]]:
    found = _properties(owner)[field]
    return [
        {**part, "type": "string", "enum": [part["const"]]} if "const" in part else part
        for part in found.get("anyOf", [found])
    ]


@cache
def _properties(owner: Any) -> dict[str, Any]:
    properties: dict[str, Any] = TypeAdapter(owner).json_schema().get("properties", {})
    return properties
