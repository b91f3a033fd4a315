"""The study on disk: one folder a study, one file a trial. The trial's file is the commit point, as its object is in a
cluster.

Every write is atomic; a result is written once and refused afterwards (P3). One runner at a time holds the folder's
lock. What a person may not change while results are recorded is refused here, with the field's name.
"""

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

from tuning_operator.api.study import StudySpec
from tuning_operator.api.validation import refused_changes
from tuning_operator.core.model import RecordAttempt, RecordResult, Study, Trial
from tuning_operator.local.files import AttemptFiles, is_locked, lock_or_holder, write_atomically
from tuning_operator.local.records import Json, study_from, study_resource, trial_from, trial_resource

_UID_SPACE = uuid.UUID("6f3c1d0e-54cb-4b6e-9a52-7d1a0c6f8b11")


class LedgerError(Exception):
    """The ledger cannot be used as asked; the message says why and what to do."""


class Ledger:
    """The ledger of one study, in `directory`. Reading needs no lock; writing needs `lock()`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._trials: dict[int, Trial] = {}
        self._lock: int | None = None
        self.study: Study
        self.status: Json = {}
        if self.exists():
            self._load()

    def exists(self) -> bool:
        return (self.directory / "study.json").is_file()

    def lock(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        held = lock_or_holder(self.directory / "lock")
        if isinstance(held, str):
            raise LedgerError(
                f"{self.directory}: another `tuning run` (process {held}) works on this study; wait for it, "
                "stop it, or give this one its own place with --dir"
            )
        self._lock = held
        if self.exists():
            self._load()

    def unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def busy(self) -> bool:
        """Whether a runner works on it now."""
        return is_locked(self.directory / "lock")

    def set_aside(self) -> Path:
        """Moves a ledger out of the way, kept, so that its study can begin again."""
        for number in range(1, 10_000):
            kept = self.directory.with_name(f"{self.directory.name}.{number}")
            if not kept.exists():
                self.directory.rename(kept)
                self._trials.clear()
                return kept
        raise LedgerError(f"{self.directory}: too many old ledgers beside it; remove some")

    def open(self, *, name: str, spec: StudySpec, source: str, now: float) -> Study:
        """Begins the study, or goes on with it under an edited spec."""
        if not self.exists():
            for part in ("trials", "runs"):
                (self.directory / part).mkdir(parents=True, exist_ok=True)
            # From the name: the same file gives the same suggestions on every machine.
            self.study = Study("", name, str(uuid.uuid5(_UID_SPACE, name)), 1, spec, now)
        else:
            if self.study.name != name:
                raise LedgerError(
                    f"{self.directory}: holds the study {self.study.name!r}, not {name!r}; choose another --dir"
                )
            self.edit(spec)
        write_atomically(self.directory / "study.yaml", source)
        self.write_status(self.status)
        return self.study

    def edit(self, spec: StudySpec) -> bool:
        """Takes over an edited spec; False if nothing changed. Refuses what a cluster would refuse."""
        if _plain(self.study.spec) == _plain(spec):
            return False
        edited = replace(self.study, spec=spec, generation=self.study.generation + 1)
        before, after = study_resource(self.study, self.status), study_resource(edited, self.status)
        refused = refused_changes(before, after)
        if refused:
            field = refused[0].path
            raise LedgerError(
                f"{_change(self.study.spec, spec, field)}: {refused[0].remedy}; or begin again with --restart, which "
                f"keeps the results so far beside {self.directory}"
            )
        self.study = edited
        return True

    @property
    def trials(self) -> tuple[Trial, ...]:
        return tuple(self._trials[number] for number in sorted(self._trials))

    def files(self, trial: int, attempt: int, *, replicate: int = 0) -> AttemptFiles:
        return AttemptFiles(self.directory / "runs" / f"{trial:04d}", attempt, replicate=replicate)

    def create(self, trial: Trial) -> None:
        """Idempotent: the first creation counts."""
        if trial.number not in self._trials:
            self._write(trial)

    def record_attempt(self, action: RecordAttempt) -> None:
        trial = self._unfinished(action)
        if trial is not None:
            self._write(replace(trial, recorded_state=action.state))

    def record_result(self, action: RecordResult) -> None:
        trial = self._unfinished(action)
        if trial is not None:
            state = action.result.state
            self._write(replace(trial, recorded_state=state, ended_at=action.ended_at, result=action.result))

    def write_status(self, status: Json) -> None:
        self.status = status
        write_atomically(self.directory / "study.json", _json(study_resource(self.study, status)))

    def prune_checkpoint(self, trial: int, *, keep: Collection[str]) -> None:
        """Removes what a trial's next attempt would have needed, all but the entries named. Never raises OSError."""
        with contextlib.suppress(OSError):
            for path in self.files(trial, 0).checkpoint.iterdir():
                if path.name in keep:
                    continue
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    def _unfinished(self, action: RecordAttempt | RecordResult) -> Trial | None:
        """The trial with what both actions say of it; None once its result is recorded."""
        trial = self._trials[action.trial]
        if trial.result is not None:
            return None
        return replace(
            trial,
            attempt=action.attempt,
            retries=action.retries,
            disruptions=action.disruptions,
            accelerator_seconds=action.accelerator_seconds,
            rungs=action.rungs or trial.rungs,
            replicates=action.replicates or trial.replicates,
            started_at=action.started_at,
        )

    def _write(self, trial: Trial) -> None:
        write_atomically(self._path(trial.number), _json(trial_resource(trial, self.study)))
        self._trials[trial.number] = trial

    def _path(self, number: int) -> Path:
        return self.directory / "trials" / f"{number:04d}.json"

    def _load(self) -> None:
        try:
            resource = json.loads((self.directory / "study.json").read_text(encoding="utf-8"))
            self.study, self.status = study_from(resource), resource["status"]
            found = [
                trial_from(json.loads(path.read_text(encoding="utf-8")))
                for path in (self.directory / "trials").glob("[0-9]*.json")
            ]
        except (OSError, ValueError, KeyError) as error:
            raise LedgerError(
                f"{self.directory}: this ledger cannot be read ({error}); restore it, or begin again with --restart"
            ) from error
        self._trials = {trial.number: trial for trial in found}


def _plain(spec: StudySpec) -> dict[str, Any]:
    """With every default in place, so that writing out a default is no change."""
    return spec.model_dump(mode="json", by_alias=True)


def _change(old: StudySpec, new: StudySpec, field: str) -> str:
    """Which value inside a field changed, from what to what."""
    name = field.removeprefix("spec.")
    found = _first_difference(_plain(old).get(name), _plain(new).get(name), field)
    return field if found is None else f"{found[0]}: was {_show(found[1])}, is now {_show(found[2])}"


def _json(resource: Json) -> str:
    return json.dumps(resource, indent=1, allow_nan=False) + "\n"


def _first_difference(old: Any, new: Any, path: str = "") -> tuple[str, Any, Any] | None:
    if type(old) is type(new) and isinstance(old, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            found = _first_difference(old.get(key), new.get(key), f"{path}.{key}" if path else key)
            if found is not None:
                return found
        return None
    if type(old) is type(new) and isinstance(old, list):
        if len(old) != len(new):
            return path, f"{len(old)} entries", f"{len(new)} entries"
        for index, (one, other) in enumerate(zip(old, new, strict=True)):
            label = one["name"] if isinstance(one, dict) and "name" in one else index
            found = _first_difference(one, other, f"{path}[{label}]")
            if found is not None:
                return found
        return None
    return None if old == new else (path, old, new)


def _show(value: Any) -> str:
    if value is None:
        return "absent"
    if isinstance(value, float):
        return f"{value:.15g}"
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
