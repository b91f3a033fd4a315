"""The model card (Mitchell et al., 2019): what a model is, from what it was made and how good it is; for people as
Markdown, for programs as JSON.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from tuning_trainer.artifacts.store import write_text

MARKDOWN: Final = "model_card.md"
JSON: Final = "model_card.json"
PACKAGES: Final = ("tuning-operator", "torch", "numpy", "torchmetrics")


@dataclass(frozen=True, slots=True)
class Card:
    """Everything of a card, as JSON values."""

    name: str
    """Study and trial."""
    description: str
    license: str
    model: Mapping[str, Any]
    """The model's settings, with `weights`, the number of its weights."""
    task: Mapping[str, Any]
    parameters: Mapping[str, Any]
    """Parameters of the study, as the trial was told them."""
    settings: Mapping[str, Any]
    """All settings of the trainer."""
    data: Mapping[str, Any]
    """`samples` of each part, their `sha256`, and that of the file."""
    metrics: Mapping[str, float | None]
    """Last values, None for what is not finite."""
    files: Mapping[str, str]
    versions: Mapping[str, str]


def versions() -> dict[str, str]:
    """Of Python and the packages that made the weights."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def write_card(directory: Path, card: Card) -> dict[str, str]:
    """Writes both forms, never encrypted; returns artifact name -> file name. Raises OSError when the disk refuses."""
    return {
        "card": write_text(directory / MARKDOWN, as_markdown(card)).name,
        "card_json": write_text(directory / JSON, json.dumps(asdict(card), indent=1) + "\n").name,
    }


def as_markdown(card: Card) -> str:
    """The card for people; its head is what model hubs read."""
    head = {"license": card.license or "unknown", "library_name": "pytorch"}
    lines = ["---", *(f"{name}: {json.dumps(value)}" for name, value in head.items()), "---", f"# {card.name}", ""]
    if card.description:
        lines += [card.description, ""]
    lines += [f"Licence: {card.license or 'not stated'}", ""]
    for title, rows in (
        ("Model", card.model),
        ("Parameters", card.parameters),
        ("Data", card.data),
        ("Metrics", card.metrics),
        ("Files", card.files),
        ("Versions", card.versions),
    ):
        if rows:
            lines += [f"## {title}", "", *_table(rows), ""]
    lines += ["## All settings", "", "```json", json.dumps(card.settings, indent=1), "```", ""]
    return "\n".join(lines)


def _table(rows: Mapping[str, Any]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items())]


def _cell(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.split()).replace("|", "\\|")
