"""The definitions are what the models say, and what an API server needs."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from tuning_operator.api import reference
from tuning_operator.api.crd import definitions, main, text
from tuning_operator.api.structural import PRESERVE, UnboundedError, structural

ROOT = Path(__file__).parents[3]
CRDS = definitions()


def nodes(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, schema
    for name, child in schema.get("properties", {}).items():
        yield from nodes(child, f"{path}.{name}")
    for inner in ("items", "additionalProperties"):
        if isinstance(schema.get(inner), dict):
            yield from nodes(schema[inner], f"{path}[]")


def schemas() -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{name}{path}", node)
        for name, each in CRDS.items()
        for path, node in nodes(each["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    ]


def test_the_files_are_what_the_models_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check", str(ROOT / "crds")]) == 0, capsys.readouterr().out


def test_the_reference_is_what_the_models_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert reference.main(["--check", str(ROOT / "docs/reference/study.md")]) == 0, capsys.readouterr().out


def test_a_stale_file_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--write", str(tmp_path)]) == 0
    stale = tmp_path / "tuningtrials.tuning.study.yaml"
    stale.write_text(stale.read_text() + "# by hand\n")
    assert main(["--check", str(tmp_path)]) == 1
    assert f"{stale}: differs from the models; run python -m" in capsys.readouterr().out


def test_they_fit_into_the_annotation_of_a_client_side_apply() -> None:
    for name, each in CRDS.items():
        assert len(json.dumps(each)) < 256 * 1024 * 0.8, name
        assert len(text(each)) < 256 * 1024


def test_every_field_says_what_it_is() -> None:
    silent = [
        path
        for path, node in schemas()
        if not path.endswith(("metadata", "[]")) and len(node.get("description", "")) < 10
    ]
    assert not silent


def test_everything_is_bounded() -> None:
    for path, node in schemas():
        match node.get("type"):
            case "string":
                assert "maxLength" in node or "enum" in node, path
            case "array":
                assert "maxItems" in node and "x-kubernetes-list-type" in node, path
            case "object" if isinstance(node.get("additionalProperties"), dict):
                assert "maxProperties" in node, path
            case "integer":
                assert node["format"] == "int64", path
            case None:
                assert node[PRESERVE], path


def test_a_model_without_bounds_is_refused() -> None:
    class Loose(BaseModel):
        name: str

    with pytest.raises(UnboundedError, match=r"Loose\.name: no maxLength"):
        structural(Loose)


def test_no_references_and_no_nulls_are_left() -> None:
    for each in CRDS.values():
        dumped = json.dumps(each)
        for word in ('"$ref"', '"anyOf"', '"null"', '"title"', "patternProperties"):
            assert word not in dumped
