"""Argo CD's health script, run as Argo CD runs it: Lua 5.1, the object in `obj`, a table with status and message back.

Tried on the statuses that the core really gives (tests/statuses.py) and on some that it never should.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from lupa import lua51

from tests.statuses import RECORDINGS, STATES, recording

ROOT = Path(__file__).resolve().parents[3]
ARGOCD = ROOT / "examples/gitops/argocd"


def health(study: dict[str, Any]) -> tuple[str, str]:
    """Status and message that Argo CD would show."""
    lua = lua51.LuaRuntime(register_eval=False, register_builtins=False)
    for library in ("os", "io", "package", "debug", "require", "dofile", "loadfile"):
        lua.globals()[library] = None  # Argo CD opens none of them
    lua.globals().obj = lua.table_from(study, recursive=True)
    answer = lua.execute((ARGOCD / "health.lua").read_text())
    return answer.status, answer.message


def a_study(*true: str, generation: int = 2, observed: int | None = 2) -> dict[str, Any]:
    conditions = [
        {"type": type_, "status": str(type_ in true), "reason": f"{type_}Reason", "message": f"about {type_}"}
        for type_ in ("Ready", "Reconciling", "Stalled", "Succeeded", "Failed", "Suspended")
    ]
    status = {"conditions": conditions} | ({"observedGeneration": observed} if observed is not None else {})
    return {"metadata": {"name": "s", "generation": generation}, "status": status}


@pytest.mark.parametrize(
    ("study", "want"),
    [
        pytest.param({"metadata": {"generation": 1}}, "Progressing", id="just applied, without a status"),
        pytest.param({"metadata": {"generation": 1}, "status": {}}, "Progressing", id="an empty status"),
        pytest.param(a_study(observed=-1), "Progressing", id="the status of the schema's default"),
        pytest.param(a_study("Reconciling"), "Progressing", id="running"),
        pytest.param(a_study("Succeeded", "Ready"), "Healthy", id="succeeded"),
        pytest.param(a_study("Failed", "Stalled"), "Degraded", id="failed"),
        pytest.param(a_study("Stalled"), "Degraded", id="stalled"),
        pytest.param(a_study("Suspended"), "Suspended", id="suspended"),
        pytest.param(a_study("Suspended", "Stalled"), "Degraded", id="suspended and not able to go on"),
        pytest.param(a_study("Succeeded", observed=1), "Progressing", id="succeeded, then edited"),
    ],
)
def test_health_follows_the_conditions_of_the_current_generation(study: dict[str, Any], want: str) -> None:
    assert health(study)[0] == want


def test_the_message_is_the_one_of_the_condition_that_decided() -> None:
    assert health(a_study("Stalled", "Reconciling"))[1] == "about Stalled"


def test_the_config_map_holds_the_same_script() -> None:
    key = "resource.customizations.health.tuning.study_TuningStudy"
    config = yaml.safe_load((ARGOCD / "argocd-cm.yaml").read_text())

    assert config["data"][key] == (ARGOCD / "health.lua").read_text()


HEALTH = {
    "just-applied": "Progressing",
    "starting": "Progressing",
    "running": "Progressing",
    "waiting-for-quota": "Progressing",
    "suspending": "Suspended",
    "suspended": "Suspended",
    "stalled-invalid-spec": "Degraded",
    "stalled-forbidden": "Degraded",
    "stalled-image": "Degraded",
    "finishing": "Progressing",
    "succeeded": "Healthy",
    "failed-too-many": "Degraded",
    "failed-without-success": "Degraded",
    "failed-final-run": "Degraded",
}


def test_every_state_has_its_health_and_says_why() -> None:
    shown = {state: health(yaml.safe_load((RECORDINGS / f"{state}.yaml").read_text())) for state in STATES}

    assert {state: status for state, (status, _) in shown.items()} == HEALTH
    assert [state for state, (_, message) in shown.items() if not message] == []


def test_the_recorded_statuses_are_what_the_core_says_today() -> None:
    recorded = {path.stem: path.read_text() for path in RECORDINGS.glob("*.yaml")}

    assert recorded == {state: recording(state) for state in STATES}, "run python -m tests.statuses --write"
