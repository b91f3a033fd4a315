"""What the runner told this trial, read from `TUNING_*` once. Pure: takes a mapping, touches nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DEFAULT_TERMINATION_FILE = Path("/dev/termination-log")


class VariableError(ValueError):
    """A `TUNING_*` variable that cannot be read; the message names it, its value and what it must be."""


@dataclass(frozen=True, slots=True)
class Objective:
    """One objective of the study: which metric counts, in which direction, and how its reports are summarised."""

    metric: str
    maximize: bool
    mean_window: int | None = None
    """Number of last reports the mean is taken over; None where the objective is not summarised by a mean."""
    best_counts: bool = False
    """Whether it is summarised by the best value so far; else, without a mean, the last one counts."""


@dataclass(frozen=True, slots=True)
class Fidelity:
    """How far this attempt trains. Budgets are steps as the trial reports them, from its beginning."""

    max: int
    """The full budget: schedules are defined on it, whatever this attempt reaches of it."""
    until: int
    """Where this attempt ends: below `max` it saves a checkpoint there and exits with `exit_codes.STOPPED`."""
    rungs: tuple[int, ...] = ()
    """Budgets at which the values count, rising."""
    parameter: str | None = None
    """The parameter that stands for the budget; it is set to `max`."""

    @property
    def pauses(self) -> bool:
        """Whether this attempt ends before the training does."""
        return self.until < self.max


@dataclass(frozen=True, slots=True)
class Environment:
    """The `TUNING_*` variables, typed. Every field has the value of a trial that runs without any of them."""

    study: str | None = None
    trial: str | None = None
    number: int = 0
    attempt: int = 0
    role: str = "Search"
    parameters: Mapping[str, Any] | None = None
    objectives: tuple[Objective, ...] = ()
    trainer: Mapping[str, Any] | None = None
    final: Mapping[str, Any] | None = None
    fidelity: Fidelity | None = None
    replicate: int | None = None
    checkpoint_dir: Path | None = None
    parent_dir: Path | None = None
    metrics_port: int | None = None
    termination_file: Path | None = None
    main: bool = True
    """False in the processes of a trial whose RANK is not 0: what they report goes nowhere."""

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Environment:
        """Reads the variables of the trial contract. Empty variables count as unset. Raises `VariableError`."""
        trial = environ.get("TUNING_TRIAL") or None
        main = environ.get("RANK", "0") in ("", "0")
        directory, parent = environ.get("TUNING_CHECKPOINT_DIR"), environ.get("TUNING_PARENT_DIR")
        return cls(
            study=environ.get("TUNING_STUDY") or None,
            trial=trial,
            number=_integer(environ, "TUNING_TRIAL_NUMBER") or 0,
            attempt=_integer(environ, "TUNING_ATTEMPT") or 0,
            role=environ.get("TUNING_ROLE") or "Search",
            parameters=_object(environ, "TUNING_PARAMETERS"),
            objectives=_objectives(environ),
            trainer=_object(environ, "TUNING_TRAINER"),
            final=_object(environ, "TUNING_FINAL"),
            fidelity=_fidelity(environ),
            replicate=_integer(environ, "TUNING_REPLICATE"),
            checkpoint_dir=Path(directory) if directory else None,
            parent_dir=Path(parent) if parent else None,
            metrics_port=_integer(environ, "TUNING_METRICS_PORT") if main else None,
            termination_file=_termination_file(environ, trial) if main else None,
            main=main,
        )


def _termination_file(environ: Mapping[str, str], trial: str | None) -> Path | None:
    named = environ.get("TUNING_TERMINATION_FILE")
    if named:
        return Path(named)
    return DEFAULT_TERMINATION_FILE if trial and DEFAULT_TERMINATION_FILE.exists() else None


def _integer(environ: Mapping[str, str], name: str) -> int | None:
    text = environ.get(name)
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise VariableError(f"{name} is {text[:40]!r}; it must be a whole number")
    return int(text)


def _json(environ: Mapping[str, str], name: str) -> Any:
    text = environ.get(name)
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise VariableError(f"{name} is not JSON: {error}; it begins with {text[:60]!r}") from None


def _object(environ: Mapping[str, str], name: str) -> dict[str, Any] | None:
    value = _json(environ, name)
    if value is not None and not isinstance(value, dict):
        raise VariableError(f"{name} is {str(value)[:60]!r}; it must be a JSON object")
    return value


def _fidelity(environ: Mapping[str, str]) -> Fidelity | None:
    name = "TUNING_FIDELITY"
    value = _object(environ, name)
    if value is None:
        return None
    full = _budget(value.get("max"), f"{name}: max")
    until = _budget(value.get("until", full), f"{name}: until")
    rungs = value.get("rungs", [])
    if not isinstance(rungs, list):
        raise VariableError(f"{name}: rungs is {str(rungs)[:60]!r}; it must be a list of budgets")
    budgets = tuple(_budget(rung, f"{name}: rungs") for rung in rungs)
    if list(budgets) != sorted({*budgets}) or budgets[-1:] > (full,):
        raise VariableError(f"{name}: rungs is {str(rungs)[:60]}; the budgets must rise, to at most max, {full}")
    if until > full:
        raise VariableError(f"{name}: until is {until}; it must be at most max, {full}")
    parameter = value.get("parameter")
    if not isinstance(parameter, str | None):
        raise VariableError(f"{name}: parameter is {str(parameter)[:60]!r}; it must be the name of a parameter")
    return Fidelity(max=full, until=until, rungs=budgets, parameter=parameter)


def _budget(value: object, where: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 2**53:
        raise VariableError(f"{where} is {str(value)[:60]!r}; a budget is a whole number of at least 1")
    return value


def _objectives(environ: Mapping[str, str]) -> tuple[Objective, ...]:
    value = _json(environ, "TUNING_OBJECTIVES")
    if value is None:
        return ()
    if not isinstance(value, list) or not all(isinstance(v, dict) and isinstance(v.get("metric"), str) for v in value):
        raise VariableError("TUNING_OBJECTIVES must be a JSON list of objects with metric and goal")
    return tuple(
        Objective(
            metric=entry["metric"],
            maximize=entry.get("goal", "Maximize") == "Maximize",
            mean_window=max(1, int(entry.get("window") or 1)) if entry.get("summarize") == "Mean" else None,
            best_counts=entry.get("summarize") == "Best",
        )
        for entry in value
    )
