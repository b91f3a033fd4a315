"""What the documents show is true: links lead somewhere, studies are studies, every word of the API is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tuning_operator.api.status import StudyState
from tuning_operator.api.validation import validate
from tuning_operator.cluster.meters import Meters
from tuning_operator.core import budgets, final, lifecycle, replicates, rungs, stalls, tally

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")
YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(document: Path) -> None:
    broken = [target for target in LINK.findall(document.read_text()) if not (document.parent / target).exists()]

    assert broken == []


def test_the_study_of_the_readme_is_one() -> None:
    (text,) = YAML.findall((ROOT / "README.md").read_text())

    assert validate(yaml.safe_load(text)).problems == ()


def test_every_reason_that_the_core_gives_is_explained() -> None:
    modules = (budgets, final, lifecycle, replicates, rungs, stalls, tally)
    constants = [(name, value) for module in modules for name, value in vars(module).items()]
    words = {str(value) for name, value in constants if name.isupper() and isinstance(value, str)}

    assert {word for word in words if f"`{word}`" not in operations()} == set()
    assert len(words) > 10


def test_every_state_and_every_metric_is_explained() -> None:
    metrics = {family.name for family in Meters().registry.collect() if "process" not in family.name}
    words = {state.value for state in StudyState} | metrics

    assert {word for word in words if f"`{word}" not in operations()} == set()


def operations() -> str:
    return (ROOT / "docs" / "operations.md").read_text()
