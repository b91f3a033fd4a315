"""A whole dump of a resolved configuration, as exports hold it, resolves to the same configuration again: so that an
exported model can be read, and trained once more from its `config.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

import tuning_trainer
from tuning_trainer.config import TrainerConfig, resolve
from tuning_trainer.config.names import catalogue

EXAMPLES = Path(tuning_trainer.__file__).parents[2] / "examples"
TEXT = {"data": "text", "data.path": "texts.csv", "data.text": "text"}
PRETRAINED = TEXT | {"model": "pretrained", "model.directory": "bert"}
NEEDED: dict[str, dict[str, Any]] = {
    "data graph": {"data.path": "nodes.csv", "data.edges": "edges.csv"},
    "data table": {"data.path": "table.csv", "data.target": "y"},
    "data text": TEXT,
    "data language": {"data.path": "texts"},
    "data image_folder": {"data.path": "images"},
    "data cifar10": {"data.path": "sets"},
    "data mnist": {"data.path": "sets"},
    "data speech": {"data.path": "words"},
    "data ratings": {"data.path": "ratings.csv"},
    "data custom": {"data.source": "mine:source"},
    "data.vocabulary tokenizer": {"data.vocabulary.file": "tokenizer.json"},
    "model pretrained": PRETRAINED,
    "model custom": {"model.factory": "mine:model"},
    "compress.distill saved": {"distill.directory": "teacher"},
    "compress.distill trained": {"compress.distill.model": "linear"},
    "compress.distill.model pretrained": {"compress.distill.model.directory": "bert"},
    "compress.distill.model custom": {"compress.distill.model.factory": "mine:model"},
}
"""What a member of a choice cannot be without."""
WITHIN: dict[str, dict[str, Any]] = {
    "data.vocabulary": TEXT,
    "model.adaptation": PRETRAINED,
    "compress.distill.model": {"distill": "trained"},
    "compress.distill.model.adaptation": {
        "distill": "trained",
        "compress.distill.model": "pretrained",
        "compress.distill.model.directory": "bert",
    },
}
"""What must be chosen for a choice inside of a section."""
TOGETHER: dict[str, dict[str, Any]] = {
    "privacy": {"noise": 1.0, "clip": 0.5},
    "a saved, encrypted model": {"key_file": "key", "formats": ["safetensors", "onnx"]},
    "every stage of compression": {"channels.share": 0.2, "prune.share": 0.5, "quantize.bits": 4, "distill": "self"},
    "costs of three batches": {"latency": True, "measure.batch_sizes": [1, 8, 64], "flops": True, "memory": True},
}
"""Sections that are off by default."""


def samples() -> Iterator[Any]:
    """Every member of every choice, every section that is off by default, and both ends of every example."""
    for section, members in sorted(catalogue().choices.items()):
        for member in sorted(members):
            needed = WITHIN.get(section, {}) | NEEDED.get(f"{section} {member}", {})
            parameters = {"data": "digits", **needed, section: member}
            yield pytest.param({}, parameters, id=f"{section} {member}")
    for name, parameters in TOGETHER.items():
        yield pytest.param({"data": "digits"}, parameters, id=name)
    for path in sorted(EXAMPLES.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            spec = (document or {}).get("spec") or {}
            settings = (spec.get("trial") or {}).get("trainer") if isinstance(spec, dict) else None
            for end in (0, -1) if settings is not None else ():
                parameters = {each["name"]: at_the(end, each) for each in spec.get("parameters", ())}
                yield pytest.param(settings, parameters, id=f"{path.stem}, {'last' if end else 'first'} values")


def at_the(end: int, parameter: Mapping[str, Any]) -> Any:
    """The first or last value of a parameter."""
    if "choice" in parameter:
        return parameter["choice"][end]
    return parameter["int" if "int" in parameter else "float"]["max" if end else "min"]


@pytest.mark.parametrize(("settings", "parameters"), tuple(samples()))
def test_a_dump_is_the_configuration_again(settings: dict[str, Any], parameters: dict[str, Any]) -> None:
    config = resolve(settings, parameters).config
    for short in (False, True):  # what was chosen is enough for the other processes of a trial
        dump = json.loads(json.dumps(config.model_dump(mode="json", exclude_unset=short)))
        assert resolve(dump, {}).config == config
    assert TrainerConfig.model_validate(config.model_dump(mode="json"), strict=False) == config
