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
    checkpoint_dir: Path | None = None
    metrics_port: int | None = None
    termination_file: Path | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> Environment:
        """Reads the variables of the trial contract. Empty variables count as unset. Raises `VariableError`."""
        trial = environ.get("TUNING_TRIAL") or None
        directory = environ.get("TUNING_CHECKPOINT_DIR")
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
            checkpoint_dir=Path(directory) if directory else None,
            metrics_port=_integer(environ, "TUNING_METRICS_PORT"),
            termination_file=_termination_file(environ, trial),
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
        )
        for entry in value
    )
