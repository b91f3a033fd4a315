"""What early stopping is worth on Jobs: schedulers on recorded curves, in simulated time.

    python -m tests.bench.search.multi_fidelity                     # the methods of the note; half an hour on one core
    python -m tests.bench.search.multi_fidelity --tasks digits --workers 8 --start 1 --methods "ours ASHA Stop"

A worker trains one trial at a time, one epoch takes one unit of time, and every start of a Job costs `--start` epochs
more, a resumed one too. Methods get the time in which random search trains `--full` configurations to the end. Regret
is the least validation error seen so far by anyone minus the least in the table. Printed is the mean regret at shares
of that time, and the share at which each method reaches what random search ends with: for each setting, for each
task, and over all settings, there as shares of the regret of a median configuration's full training.

`--keep DIRECTORY` keeps each run, so that a bench that was cut off goes on and methods can be added: remove what was
made by other code.

Ours runs the code of the operator: its schedulers on its rung table, and its `suggest` on what the core tells it.
Optuna runs as one would use it on Jobs: its TPE with a pruner, asked after each epoch; a pruned Job ends for good.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from tests.bench.search.curves import EPOCHS, GRID, Task, load, recorded
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.history import told
from tuning_operator.core.model import Result, Rung, Snapshot, Study, Trial
from tuning_operator.search.known import Known
from tuning_operator.search.schedulers import scheduler_for
from tuning_operator.search.schedulers.table import Row, State, Verdict
from tuning_operator.search.suggest import problem, suggest
from tuning_operator.search.types import Suggestion

SHARES = (0.05, 0.1, 0.25, 0.5, 1.0)
Run = list[tuple[float, float]]
"""When which error was first seen: (time, error), falling."""


@dataclass(frozen=True)
class Leg:
    """A stretch of training: this worker trains this configuration from one epoch to another."""

    trial: int
    parameters: Mapping[str, Any]
    begin: int
    end: int
    fresh: bool
    """A Job starts for it."""


class Method(Protocol):
    def next(self) -> Leg | None:
        """Work for a free worker."""

    def reached(self, leg: Leg, errors: Sequence[float]) -> Leg | None:
        """A leg is over; what the same worker goes on with, if it does."""


def simulate(method: Method, task: Task, *, workers: int, start: int, until: float) -> Run:
    """Each epoch's error is seen when the epoch is over."""
    events: list[tuple[float, int, Leg]] = []
    order = itertools.count()
    idle = workers
    now = 0.0
    seen: Run = []

    def begin(leg: Leg, at: float) -> None:
        first = at + (start if leg.fresh else 0)
        seen.extend((first + step, error) for step, error in enumerate(errors(leg), start=1))
        heapq.heappush(events, (first + leg.end - leg.begin, next(order), leg))

    def errors(leg: Leg) -> list[float]:
        return [float(error) for error in task.curve(leg.parameters)[leg.begin : leg.end]]

    while True:
        while idle and (leg := method.next()) is not None:
            idle -= 1
            begin(leg, now)
        if not events or events[0][0] > until:
            return _falling(seen, until)
        now, _, leg = heapq.heappop(events)
        further = method.reached(leg, errors(leg))
        if further is not None:
            begin(further, now)
        else:
            idle += 1


def _falling(seen: Sequence[tuple[float, float]], until: float) -> Run:
    found: Run = []
    for time, error in sorted(seen):
        if time <= until and (not found or error < found[-1][1]):
            found.append((time, error))
    return found


class Full:
    """Random search, every trial to its end."""

    def __init__(self, seed: int) -> None:
        import random

        self._points = [dict(zip(GRID, point, strict=True)) for point in itertools.product(*GRID.values())]
        random.Random(seed).shuffle(self._points)
        self._number = itertools.count()

    def next(self) -> Leg | None:
        number = next(self._number)
        return Leg(number, self._points[number], 0, EPOCHS, True) if number < len(self._points) else None

    def reached(self, leg: Leg, errors: Sequence[float]) -> Leg | None:
        return None


@dataclass
class Ours:
    """The operator's schedulers and search on a ledger of its own words."""

    seed: int
    workers: int
    scheduler: Mapping[str, Any]
    algorithm: str = "Auto"
    trials: dict[int, Trial] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.spec = StudySpec.model_validate(
            {
                "objectives": [{"metric": "error", "goal": "Minimize"}],
                "parameters": [_parameter(name, values) for name, values in GRID.items()],
                "algorithm": {"name": self.algorithm, "seed": self.seed},
                "fidelity": {"parameter": "epochs", "min": 1, "max": EPOCHS, "reduction": 3},
                "scheduler": dict(self.scheduler),
                "limits": {"duration": "1h", "parallel": self.workers},
                "trial": {"trainer": {}, "checkpoints": {"claimName": "c"}},
            }
        )
        found = scheduler_for(self.spec)
        assert found is not None
        self.scheduling = found
        self.problem = problem(self.spec, study_uid=f"bench-{self.seed}")
        self.known = Known(self.problem.space)
        self._rows: dict[int, tuple[Trial, Row]] = {}

    def next(self) -> Leg | None:
        ready = self.scheduling.promotable(self._table())
        if ready:
            trial = self.trials[ready[0]]
            rungs = (*trial.rungs[:-1], replace(trial.rungs[-1], promoted=True))
            self.trials[trial.number] = trial = replace(trial, rungs=rungs, recorded_state=TrialState.RUNNING)
            return self._leg(trial, fresh=True)
        number = len(self.trials)
        ledger = tuple(self.trials.values())
        seen = told(Snapshot(Study("n", "bench", "uid", 1, self.spec, 0.0), ledger))
        answer = suggest(self.problem, history=seen.history, running=seen.running, number=number, known=self.known)
        if not isinstance(answer, Suggestion):
            return None
        self.trials[number] = Trial(number, Role.SEARCH, answer, 0.0, recorded_state=TrialState.RUNNING)
        return self._leg(self.trials[number], fresh=True)

    def reached(self, leg: Leg, errors: Sequence[float]) -> Leg | None:
        trial = self.trials[leg.trial]
        values = {"error": errors[-1]}
        trial = replace(trial, rungs=(*trial.rungs, Rung(leg.end, values)))
        self.trials[leg.trial] = trial
        if leg.end == EPOCHS:
            self._end(trial, TrialState.SUCCEEDED, "Completed", values)
            return None
        match self.scheduling.judge(self._table(), leg.trial):
            case Verdict.GO_ON:
                rungs = (*trial.rungs[:-1], replace(trial.rungs[-1], promoted=True))
                self.trials[leg.trial] = trial = replace(trial, rungs=rungs)
                return self._leg(trial, fresh=False)
            case Verdict.PAUSE:
                self.trials[leg.trial] = replace(trial, recorded_state=TrialState.PAUSED)
            case Verdict.STOP:
                self._end(trial, TrialState.STOPPED, "Unpromising", values)
        return None

    def _end(self, trial: Trial, state: TrialState, reason: str, values: Mapping[str, float]) -> None:
        result = Result(state, reason, values=values, metrics=values)
        self.trials[trial.number] = replace(trial, result=result, recorded_state=state)

    def _leg(self, trial: Trial, *, fresh: bool) -> Leg:
        budgets = self.scheduling.rungs(trial.number)
        begin = trial.rungs[-1].budget if trial.rungs else 0
        return Leg(trial.number, trial.suggestion.parameters, begin, budgets[len(trial.rungs)], fresh)

    def _table(self) -> list[Row]:
        """By number: trials are added in the order of their numbers, and keep their place."""
        for number, trial in self.trials.items():
            if number not in self._rows or self._rows[number][0] is not trial:
                self._rows[number] = (trial, _row(trial))
        return [row for _, row in self._rows.values()]


def _row(trial: Trial) -> Row:
    states = {TrialState.PAUSED: State.PAUSED, TrialState.RUNNING: State.RUNNING}
    return Row(
        trial.number,
        tuple((rung.values["error"],) for rung in trial.rungs),
        tuple(rung.promoted for rung in trial.rungs),
        states.get(trial.recorded_state, State.ENDED),
    )


def _parameter(name: str, values: Sequence[Any]) -> dict[str, Any]:
    return {"name": name, "choice" if name == "optimizer" else "ordinal": list(values)}


class Optuna:
    """Optuna's default sampler with one of its pruners, asked after each epoch."""

    def __init__(self, seed: int, pruner: str) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruners: dict[str, Any] = {
            "SuccessiveHalving": lambda: optuna.pruners.SuccessiveHalvingPruner(
                min_resource=1, reduction_factor=3, min_early_stopping_rate=0
            ),
            "Hyperband": lambda: optuna.pruners.HyperbandPruner(
                min_resource=1, max_resource=EPOCHS, reduction_factor=3
            ),
            "Median": optuna.pruners.MedianPruner,
        }
        self._study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruners[pruner](), study_name=f"bench-{seed}"
        )
        self._open: dict[int, Any] = {}

    def next(self) -> Leg | None:
        trial = self._study.ask()
        parameters = {}
        for name, values in GRID.items():
            if name == "optimizer":
                parameters[name] = trial.suggest_categorical(name, values)
            else:
                parameters[name] = values[trial.suggest_int(name, 0, len(values) - 1)]
        self._open[trial.number] = trial
        return Leg(trial.number, parameters, 0, 1, True)

    def reached(self, leg: Leg, errors: Sequence[float]) -> Leg | None:
        import optuna

        trial = self._open[leg.trial]
        trial.report(errors[-1], leg.end)
        if leg.end == EPOCHS:
            self._study.tell(trial, errors[-1])
        elif trial.should_prune():
            self._study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            return replace(leg, begin=leg.end, end=leg.end + 1, fresh=False)
        del self._open[leg.trial]
        return None


METHODS: dict[str, Any] = {
    "random, full training": lambda seed, workers: Full(seed),
    "Optuna SuccessiveHalving": lambda seed, workers: Optuna(seed, "SuccessiveHalving"),
    "Optuna Hyperband": lambda seed, workers: Optuna(seed, "Hyperband"),
    "Optuna Median": lambda seed, workers: Optuna(seed, "Median"),
    "ours ASHA Hybrid": lambda seed, workers: Ours(seed, workers, {"name": "ASHA"}),
    "ours ASHA Pause": lambda seed, workers: Ours(seed, workers, {"name": "ASHA", "asha": {"mode": "Pause"}}),
    "ours ASHA Stop": lambda seed, workers: Ours(seed, workers, {"name": "ASHA", "asha": {"mode": "Stop"}}),
    "ours Hyperband": lambda seed, workers: Ours(seed, workers, {"name": "Hyperband"}),
    "ours Hyperband synchronous": lambda seed, workers: Ours(
        seed, workers, {"name": "Hyperband", "hyperband": {"mode": "Synchronous"}}
    ),
    "ours Median": lambda seed, workers: Ours(seed, workers, {"name": "Median"}),
}


NOTED = (
    "random, full training",
    "Optuna SuccessiveHalving",
    "Optuna Hyperband",
    "Optuna Median",
    "ours ASHA Hybrid",
)


@dataclass(frozen=True)
class Setting:
    """A table to search, and what for: with so many workers, starts that cost so many epochs, and so much time."""

    task: Task
    workers: int
    start: int
    until: float

    def run(self, method: str, seed: int, *, keep: Path | None) -> Run:
        name = f"{method}-{self.task.name}-{self.workers}-{self.start}-{self.until:.0f}-{seed}.json"
        place = None if keep is None else keep / name.replace(" ", "_")
        if place is not None and place.exists():
            return [(time, error) for time, error in json.loads(place.read_text())]
        made = METHODS[method](seed, self.workers)
        found = simulate(made, self.task, workers=self.workers, start=self.start, until=self.until)
        if place is not None:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(json.dumps(found))
        return found

    def regrets(self, runs: Sequence[Run]) -> list[float]:
        """The mean over these runs at each share of the time."""
        best = float(self.task.errors.min())
        return [statistics.fmean(_at(run, share * self.until) - best for run in runs) for share in SHARES]

    def reaches(self, runs: Sequence[Run], goal: float) -> float:
        """The share of the time after which the mean regret is this small; infinite if it never is."""
        best = float(self.task.errors.min())
        for step in range(1, 401):
            if statistics.fmean(_at(run, self.until * step / 400) - best for run in runs) <= goal + 1e-12:
                return step / 400
        return math.inf

    @property
    def unit(self) -> float:
        """The regret of a configuration that half of the others are better than, trained to its end."""
        return float(np.median(self.task.errors[:, -1]) - self.task.errors.min())


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tasks", nargs="*", default=recorded())
    parser.add_argument("--workers", nargs="*", type=int, default=[8, 32])
    parser.add_argument("--start", nargs="*", type=int, default=[1, 6])
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--full", type=int, default=64, help="configurations that random search trains to the end")
    parser.add_argument("--methods", nargs="*", default=list(NOTED), choices=list(METHODS), metavar="METHOD")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args(arguments)
    settings = [
        Setting(load(task), workers, start, options.full * (EPOCHS + start) / workers)
        for task, workers, start in itertools.product(options.tasks, options.workers, options.start)
    ]
    methods = [NOTED[0], *(name for name in options.methods if name != NOTED[0])]
    lines: list[tuple[Setting, str, Line]] = []
    for setting in settings:
        found = _lines(setting, methods, seeds=options.seeds, keep=options.keep)
        lines += [(setting, name, line) for name, line in found.items()]
        words = f"{setting.task.name}, {setting.workers} workers, a start costs {setting.start} epochs"
        _table(f"{words}; all of {setting.until:.0f} units of time", found)
    for task in options.tasks:
        mine = [(setting, name, line) for setting, name, line in lines if setting.task.name == task]
        _table(f"{task}, mean over {options.seeds} seeds of each setting", _mean(mine, methods))
    _table(
        f"all, mean over {len(settings)} settings of {options.seeds} seeds each; 1: the median of the table",
        _mean([(s, name, Line([r / s.unit for r in line.regrets], line.reaches)) for s, name, line in lines], methods),
    )
    return 0


@dataclass(frozen=True)
class Line:
    regrets: list[float]
    reaches: float


def _lines(setting: Setting, methods: Sequence[str], *, seeds: int, keep: Path | None) -> dict[str, Line]:
    runs = {name: [setting.run(name, seed, keep=keep) for seed in range(seeds)] for name in methods}
    goal = setting.regrets(runs[methods[0]])[-1]
    return {name: Line(setting.regrets(of), setting.reaches(of, goal)) for name, of in runs.items()}


def _mean(lines: Sequence[tuple[Setting, str, Line]], methods: Sequence[str]) -> dict[str, Line]:
    found = {}
    for method in methods:
        mine = [line for _, name, line in lines if name == method]
        regrets = [statistics.fmean(column) for column in zip(*(line.regrets for line in mine), strict=True)]
        found[method] = Line(regrets, statistics.fmean(line.reaches for line in mine))
    return found


def _at(run: Run, time: float) -> float:
    """The least error seen by then; before any, that of guessing."""
    return min((error for at, error in run if at <= time), default=1.0)


def _table(title: str, rows: Mapping[str, Line]) -> None:
    print(f"\n{title}\n{'':28}" + "".join(f"{share:>9.0%}" for share in SHARES) + "   reaches random's")
    for name, line in rows.items():
        reached = "never" if math.isinf(line.reaches) else f"{line.reaches:.3f}"
        print(f"{name:28}" + "".join(f"{value:9.4f}" for value in line.regrets) + f"   {reached}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
