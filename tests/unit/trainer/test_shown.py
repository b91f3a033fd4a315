"""Every setting of the trainer, and every member of a choice, stands in an example study, or there is a reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tuning_trainer.config.names import catalogue

EXAMPLES = Path(__file__).parents[3] / "examples"

FILES = "says how files of one's own are laid out; those of the examples have the usual layout"
DOWNLOAD = "needs files that cannot be made here"
UNSHOWN = {
    "data.directed": FILES,
    "data.item": FILES,
    "data.node": FILES,
    "data.pattern": FILES,
    "data.rating": FILES,
    "data.time": FILES,
    "data.unknown_edges": FILES,
    "data.user": FILES,
    "data.users": FILES,
    "data.validation_path": FILES,
    "data.split.fold": "set by a study's `trial.replicates`, one fold each",
    "data.vocabulary.file": "the tokenizer of a pretrained model is found by itself",
    "model.weights_file": DOWNLOAD,
    "compress.distill.directory": "names what another study has left behind",
    "privacy.reproducible": "for tests: who knows the seed can take the noise away",
}
"""Settings in no example, each with the reason."""
UNSHOWN_MEMBERS = {
    ("data", "cifar10"): DOWNLOAD,
    ("data", "mnist"): DOWNLOAD,
    ("data", "iris"): "like breast_cancer",
    ("data", "wine"): "like breast_cancer",
    ("data.vocabulary", "tokenizer"): "the tokenizer of a pretrained model is found by itself",
    ("compress.distill", "saved"): "names what another study has left behind",
}
TEACHER = "compress.distill.model."
"""A teacher is a model, with the settings of any."""


def test_every_setting_stands_in_an_example() -> None:
    shown = {path for path, _ in settings()}
    every = {path for path in catalogue().settings if not path.startswith(TEACHER)}
    assert every - shown == UNSHOWN.keys()


def test_every_member_stands_in_an_example() -> None:
    known = catalogue()
    shown = {(path.removesuffix(".name"), member) for path, values in settings() for member in values}
    choices = {choice: members for choice, members in known.choices.items() if not f"{choice}.".startswith(TEACHER)}
    every = {(choice, member) for choice, members in choices.items() for member in members}
    assert every - shown - set(known.defaults.items()) == UNSHOWN_MEMBERS.keys()


@pytest.mark.parametrize("choice", ["optimizer", "schedule"])
def test_one_study_chooses_among_all(choice: str) -> None:
    chosen = [set(values) for path, values in settings() if path == f"{choice}.name"]
    assert catalogue().choices[choice] in chosen


def settings() -> Iterator[tuple[str, list[Any]]]:
    """Each setting and each parameter of the examples, by its path, with the values that are named."""
    for spec in studies():
        trainer = spec["trial"].get("trainer")
        if trainer is None:
            continue
        yield from flat(trainer, "")
        for parameter in spec["parameters"]:
            yield catalogue().path_of(parameter["name"]), parameter.get("choice", [])
        if "fidelity" in spec:
            yield catalogue().path_of(spec["fidelity"]["parameter"]), []


def studies() -> Iterator[Any]:
    for path in sorted(EXAMPLES.glob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document["kind"] == "TuningStudy":
                yield document["spec"]


def flat(tree: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, list[Any]]]:
    known = catalogue()
    for key, value in tree.items():
        path = f"{prefix}{key}"
        if path in known.choices and isinstance(value, str):
            yield f"{path}.name", [value]
        elif path in known.sections:
            yield from flat(value, f"{path}.")
        else:
            yield path, [value] if isinstance(value, str) else []
