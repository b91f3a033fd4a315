"""The API server of the simulation: one study, its trials and Jobs, and a journal of how each Job's pod looked when.

Writes take effect at once and atomically, with the answers of the real one (exists already, not found, conflict,
refused). Readers see trials as they are and Jobs as they were: `runs_at` gives the view of a watch that lags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tests import history
from tests.sim.clock import Clock
from tuning_operator.api.study import Goal, StudySpec
from tuning_operator.api.trial import Role
from tuning_operator.core.model import CreateTrial, RecordAttempt, RecordResult, Run, RunState, Study, Trial

Key = tuple[int, int]
"""Trial and attempt."""


class ApiError(Exception):
    """A write that failed, or whose answer was lost: nobody knows whether it took effect."""


class ExistsError(ApiError):
    pass


class NotFoundError(ApiError):
    pass


class ConflictError(ApiError):
    pass


class RefusedError(ApiError):
    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Stored:
    trial: Trial
    version: int


class World:
    def __init__(self, clock: Clock, spec: StudySpec, *, uid: str) -> None:
        self.clock = clock
        self.uid = uid
        self.facts: list[history.Fact] = []
        self.trials: dict[int, Stored] = {}
        self.jobs: dict[Key, Run] = {}
        self.status: Mapping[str, Any] = {}
        self.deleted = False
        self.listeners: list[Callable[[], None]] = []
        self.on_job: Callable[[Key], None] = lambda key: None
        """Called for a new Job; the nodes make it run."""
        self.on_delete: Callable[[Key], None] = lambda key: None
        self.refusal: Callable[[], str | None] = lambda: None
        """Why Jobs cannot be created now."""
        self._version = 0
        self._journal: dict[Key, list[tuple[float, Run | None]]] = {}
        self.studies: list[tuple[float, Study]] = []
        self.edit(spec)

    # What a person does.

    @property
    def study(self) -> Study:
        return self.studies[-1][1]

    def edit(self, spec: StudySpec) -> None:
        study = Study("ns", "digits", self.uid, len(self.studies) + 1, spec, created_at=self.clock.now)
        self.studies.append((self.clock.now, study))
        objective = spec.objectives[0]
        limits = spec.limits
        # Whether a trial that stands at a rung keeps the constraints is not known before it ends.
        decided_later = len(spec.objectives) > 1 or bool(spec.constraints and spec.fidelity)
        decided_later = decided_later or (spec.final is not None and spec.final.confirm is not None)
        self.facts.append(
            history.SpecSet(
                self.clock.now,
                self.uid,
                limits.parallel + limits.queued,
                limits.trials,
                "" if decided_later else objective.metric,
                objective.goal is Goal.MAXIMIZE,
            )
        )
        self._changed()

    def delete_study(self) -> None:
        self.deleted = True
        self.facts.append(history.StudyDeleted(self.clock.now, self.uid))
        self.clock.after(1.0, self._collect_garbage)
        self._changed()

    def forget_status(self) -> None:
        self.status = {}
        self._changed()

    # What the operator reads.

    def study_at(self, at: float) -> Study:
        """The study as a watch that lags shows it."""
        return next((study for since, study in reversed(self.studies) if since <= at), self.studies[0][1])

    def runs_at(self, at: float, newer: Mapping[Key, float]) -> tuple[Run, ...]:
        """As they were; those that the reader touched itself not older than that."""
        seen = []
        for key, entries in self._journal.items():
            until = max(at, newer.get(key, at))
            run = next((run for since, run in reversed(entries) if since <= until), None)
            if run is not None:
                seen.append(run)
        return tuple(seen)

    # What the operator writes.

    def create_trial(self, by: str, action: CreateTrial) -> None:
        if action.number in self.trials:
            raise ExistsError(f"trial {action.number}")
        trial = Trial(action.number, action.role, action.suggestion, created_at=self.clock.now)
        self._store(trial)
        self.facts.append(
            history.TrialCreated(
                self.clock.now,
                by,
                self.uid,
                action.number,
                search=action.role is Role.SEARCH,
                final=action.role is Role.FINAL,
            )
        )

    def record(self, by: str, action: RecordAttempt | RecordResult, version: int) -> None:
        stored = self.trials.get(action.trial)
        if stored is None:
            raise NotFoundError(f"trial {action.trial}")
        if stored.version != version:
            raise ConflictError(f"trial {action.trial}")
        trial = replace(
            stored.trial,
            attempt=action.attempt,
            retries=action.retries,
            disruptions=action.disruptions,
            accelerator_seconds=action.accelerator_seconds,
            started_at=action.started_at,
            rungs=action.rungs,
            replicates=action.replicates,
        )
        if isinstance(action, RecordResult):
            trial = replace(trial, recorded_state=action.result.state, result=action.result, ended_at=action.ended_at)
        else:
            trial = replace(trial, recorded_state=action.state)
        self._store(trial)
        result = None if trial.result is None else asdict(trial.result) | {"state": trial.result.state.value}
        self.facts.append(
            history.TrialRecorded(
                self.clock.now,
                by,
                self.uid,
                action.trial,
                action.attempt,
                result,
                state=trial.recorded_state.value,
                rungs=tuple(asdict(rung) for rung in trial.rungs),
                replicates=tuple(asdict(run) for run in trial.replicates),
            )
        )

    def touch(self, number: int) -> None:
        """Somebody labels a trial."""
        stored = self.trials.get(number)
        if stored is not None:
            self._store(stored.trial)

    def create_job(self, by: str, key: Key) -> None:
        if key in self.jobs:
            raise ExistsError(f"job {key}")
        if key[0] not in self.trials:
            raise NotFoundError(f"trial {key[0]}, the owner of the Job")
        refusal = self.refusal()
        if refusal is not None:
            raise RefusedError(refusal)
        self.facts.append(history.RunCreated(self.clock.now, by, self.uid, *key))
        self.show(Run(*key, RunState.WAITING, created_at=self.clock.now))
        self.on_job(key)

    def delete_job(self, key: Key) -> None:
        if key not in self.jobs:
            raise NotFoundError(f"job {key}")
        self.on_delete(key)

    def write_status(self, by: str, status: Mapping[str, Any]) -> None:
        if self.deleted:
            raise NotFoundError("the study")
        self.status = status
        best = status.get("best")
        number = None if best is None else best["number"]
        self.facts.append(history.StatusWritten(self.clock.now, by, self.uid, number))

    # What happens by itself.

    def show(self, run: Run) -> None:
        """A Job's pod looks like this from now on."""
        key = (run.trial, run.attempt)
        before = self.jobs.get(key)
        if not run.live and (before is None or before.live):
            self.facts.append(history.RunGone(self.clock.now, self.uid, *key))
        self.jobs[key] = run
        self._journal.setdefault(key, []).append((self.clock.now, run))
        self._changed()

    def remove(self, key: Key) -> None:
        """Job and pod are gone from the API."""
        run = self.jobs.pop(key, None)
        if run is None:
            return
        if run.live:
            self.facts.append(history.RunGone(self.clock.now, self.uid, *key))
        self._journal[key].append((self.clock.now, None))
        self._changed()

    @property
    def live(self) -> list[Key]:
        return [key for key, run in self.jobs.items() if run.live]

    @property
    def left(self) -> tuple[str, ...]:
        return tuple(f"trial {number}" for number in self.trials) + tuple(f"job {key}" for key in self.jobs)

    def _store(self, trial: Trial) -> None:
        self._version += 1
        self.trials[trial.number] = Stored(trial, self._version)
        self._changed()

    def _changed(self) -> None:
        for listener in self.listeners:
            listener()

    def _collect_garbage(self) -> None:
        """Owner references: trials go with the study, Jobs with their trials; also those that come too late."""
        self.trials.clear()
        for key in list(self.jobs):
            self.on_delete(key)
            if self.jobs.get(key) is not None and self.jobs[key].state is RunState.ENDED:
                self.remove(key)
        self.clock.after(5.0, self._collect_garbage)
