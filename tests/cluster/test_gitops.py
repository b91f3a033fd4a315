"""What GitOps tools see of an installation and of a study: its health, and no drift."""

from __future__ import annotations

import yaml

from tests.statuses import RECORDINGS
from tests.testcluster import programs

KSTATUS = {
    "just-applied": "InProgress",
    "starting": "InProgress",
    "running": "InProgress",
    "waiting-for-quota": "InProgress",
    "suspending": "InProgress",
    "suspended": "InProgress",
    "stalled-invalid-spec": "Failed",
    "stalled-forbidden": "Failed",
    "stalled-image": "Failed",
    "finishing": "InProgress",
    "succeeded": "Current",
    "failed-too-many": "Failed",
    "failed-without-success": "Failed",
    "failed-final-run": "Failed",
}


def test_kstatus_knows_every_state_of_a_study() -> None:
    studies = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(RECORDINGS.glob("*.yaml"))}

    verdicts = programs.kstatus(list(studies.values()))

    assert {state: verdict["status"] for state, verdict in zip(studies, verdicts, strict=True)} == KSTATUS
