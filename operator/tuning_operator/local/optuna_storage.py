"""A study in an Optuna storage, read as a source of earlier results. Nothing is written there, and nothing is created.

Optuna knows directions but seldom names of its values: they are taken in order for the objectives that are asked for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tuning_operator.api.study import Goal, Objective
from tuning_operator.search.sources import Earlier, Source

if TYPE_CHECKING:
    import optuna

_SQLITE = b"SQLite format 3\x00"


class StorageError(Exception):
    """The storage or the study cannot be read; the message says why and what to write instead."""


@dataclass(frozen=True, slots=True)
class OptunaResults:
    """What was found."""

    metrics: tuple[str, ...]
    """Names of the values, if the study has them."""
    goals: tuple[Goal, ...]
    trials: tuple["optuna.trial.FrozenTrial", ...]
    """Those that are complete, by number."""

    def source(self, name: str, metrics: Sequence[str]) -> Source:
        """As a source whose values have these names, in order. Numbers among the user attributes count as metrics."""
        named = zip(metrics, self.goals, strict=True)
        objectives = [Objective.model_construct(metric=metric, goal=goal) for metric, goal in named]
        return Source(name, [_result(trial, metrics) for trial in self.trials], objectives)


def read_optuna(storage: str, name: str, *, directory: Path) -> OptunaResults:
    """`storage` is a file (SQLite or journal), relative to `directory`, or an SQL URL. Raises `StorageError`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    opened = _open(storage, directory)
    try:
        study = optuna.load_study(study_name=name, storage=opened)
    except KeyError:
        names = ", ".join(sorted(optuna.get_all_study_names(opened))) or "none"
        raise StorageError(f"{storage}: has no study {name!r}; it has: {names}") from None
    trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    maximize = optuna.study.StudyDirection.MAXIMIZE
    return OptunaResults(
        metrics=tuple(study.metric_names or ()),
        goals=tuple(Goal.MAXIMIZE if each == maximize else Goal.MINIMIZE for each in study.directions),
        trials=tuple(sorted(trials, key=lambda trial: trial.number)),
    )


def optuna_source(storage: str, name: str, objectives: Sequence[Objective], *, directory: Path) -> Source:
    """The study as a source for these objectives; why it is none, in its `problem`."""
    title = f"Optuna study {name}"
    try:
        found = read_optuna(storage, name, directory=directory)
    except StorageError as error:
        return Source(title, problem=str(error))
    if found.metrics:
        return found.source(title, found.metrics)
    if len(found.goals) != len(objectives):
        return Source(
            title,
            problem=f"it has {len(found.goals)} values without names, this study has {len(objectives)} objectives; "
            "make a table of those that fit by `tuning import`",
        )
    return found.source(title, [objective.metric for objective in objectives])


def _open(storage: str, directory: Path) -> Any:
    from optuna.storages import JournalStorage, RDBStorage
    from optuna.storages.journal import JournalFileBackend

    path = _file(storage, directory)
    try:
        if path is None:
            return RDBStorage(storage, skip_table_creation=True)
        with path.open("rb") as file:
            head = file.read(len(_SQLITE))
        if head == _SQLITE:
            return RDBStorage(f"sqlite:///file:{path.absolute()}?mode=ro&uri=true", skip_table_creation=True)
        return JournalStorage(JournalFileBackend(str(path)))
    except OSError as error:
        raise StorageError(f"{storage}: cannot be read: {error.strerror}") from error
    except ImportError as error:
        raise StorageError(f"{storage}: needs a driver that is not installed ({error}); pip install it") from error
    except Exception as error:
        # SQLAlchemy, Alembic and Optuna have no error in common for what is no Optuna storage.
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise StorageError(
            f"{storage}: is no Optuna storage ({reason[0]}); write an SQL URL, or the path of a SQLite or journal file"
        ) from error


def _file(storage: str, directory: Path) -> Path | None:
    """The file that holds the storage; None for a database elsewhere."""
    if storage.startswith("sqlite:///"):
        storage = storage.removeprefix("sqlite:///").partition("?")[0]
    elif "://" in storage:
        return None
    return directory / storage


def _result(trial: "optuna.trial.FrozenTrial", metrics: Sequence[str]) -> Earlier:
    return Earlier(
        parameters={name: value for name, value in trial.params.items() if isinstance(value, str | int | float)},
        values=dict(zip(metrics, trial.values, strict=True)),
        metrics={name: float(value) for name, value in trial.user_attrs.items() if _is_number(value)},
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
