"""Which checkpoints of a multi-fidelity study nobody can need any more. Pure.

A cheap evaluation leaves a checkpoint as large as a full one, so a study of many trials would fill a disk with what
lost. Without `fidelity` nothing is ever removed, and never what a trial recorded as an artifact.
"""

from collections.abc import Collection, Sequence
from pathlib import PurePath
from typing import Any

from tuning_operator.api.scheduling import SchedulerName
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import Trial
from tuning_operator.core.rungs import NOT_PROMOTED, UNPROMISING
from tuning_trial.curve import FILE

GENERATIONS = 3
"""Newest generations of each member that a suggestion may still have chosen for a parent."""
CHECKPOINT = "checkpoint"
"""The artifact by which the shared trainer names its newest checkpoint: not for keeping."""


def removable(spec: StudySpec, trials: Sequence[Trial], status: Any) -> list[int]:
    """Numbers of the trials of which only the artifacts are worth keeping.

    Of the shared trainer's trials also those that succeeded and are neither best nor on the front: its files are known.
    """
    if spec.fidelity is None:
        return []
    needed = _shown(status) | _parents(spec, trials)
    return [
        trial.number
        for trial in trials
        if trial.result is not None
        and trial.role is Role.SEARCH
        and trial.number not in needed
        and (
            trial.result.reason in (UNPROMISING, NOT_PROMOTED)
            or (trial.result.state is TrialState.SUCCEEDED and spec.trial.trainer is not None)
        )
    ]


def parent_of(spec: StudySpec, trial: Trial) -> int | None:
    """The trial with whose checkpoint this one begins: only members of a population do."""
    population = spec.scheduler.name is SchedulerName.PBT and trial.role is Role.SEARCH
    return trial.suggestion.parent if population else None


def kept(trial: Trial) -> Collection[str]:
    """First parts of the paths in its checkpoint directory that stay: artifacts and the learning curve."""
    artifacts = trial.result.artifacts if trial.result is not None else {}
    return {FILE} | {PurePath(path).parts[0] for name, path in artifacts.items() if name != CHECKPOINT and path}


def _shown(status: Any) -> set[int]:
    best, front = status.get("best") or {}, status.get("front") or []
    confirmed = status.get("confirmed") or []
    return {each["number"] for each in (best, *front, *confirmed) if "number" in each}


def _parents(spec: StudySpec, trials: Sequence[Trial]) -> set[int]:
    if spec.scheduler.name is not SchedulerName.PBT:
        return set()
    population = spec.scheduler.pbt.population if spec.scheduler.pbt is not None else 10
    search = [trial for trial in trials if trial.role is Role.SEARCH]
    parents = (trial.suggestion.parent for trial in search if trial.result is None)
    needed = {parent for parent in parents if parent is not None}
    of_member: dict[int, list[int]] = {}
    for trial in search:
        if trial.result is not None and trial.result.state is TrialState.SUCCEEDED:
            of_member.setdefault(trial.number % population, []).append(trial.number)
    return needed.union(*(numbers[-GENERATIONS:] for numbers in of_member.values()))
