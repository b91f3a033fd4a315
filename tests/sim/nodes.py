"""The nodes of the simulation: they run a Job's pod through waiting, running and ending, whatever befalls it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.sim.clock import Clock
from tests.sim.world import Key, World
from tuning_operator.core.model import Run, RunState
from tuning_operator.core.rungs import budgets, ends_at, until
from tuning_operator.search.types import Parameters
from tuning_trial.report import Best, Report


@dataclass(frozen=True, slots=True)
class Faults:
    """How often what goes wrong, as probabilities (of a write, an attempt, a moment)."""

    crash: float = 0.0
    api_error: float = 0.0
    answer_lost: float = 0.0
    lag: float = 0.0
    """Longest lag of a watch, in seconds."""
    watch_lost: float = 0.0
    disorder: float = 0.0
    """Actions of different trials reach the API server in another order."""
    disruption: float = 0.0
    vanish: float = 0.0
    """A disrupted pod is gone without last words."""
    quick_end: float = 0.0
    """A pod that was stopped is gone before anyone could see how it ended."""
    lingers: float = 0.0
    """An attempt's object (of another kind than Job) says how it ended, and some of its pods still run."""
    conflict: float = 0.0
    """409: a trial has another version, though nothing that we read has changed."""
    throttled: float = 0.0
    """429."""
    expired: float = 0.0
    """410: of a moment in which the watch is looked at."""
    lost_checkpoint: float = 0.0
    """An attempt begins from nothing again."""


@dataclass(frozen=True, slots=True)
class Programs:
    """What the trials do: weights of how they end, and how long they take."""

    weights: dict[str, float] = field(default_factory=lambda: {"good": 1.0})
    work: tuple[float, float] = (1.0, 60.0)
    late_report: float = 0.0


@dataclass(slots=True)
class _Program:
    kind: str
    work: float
    value: float
    done: float = 0.0
    """Work saved by a checkpoint."""
    rungs: dict[int, dict[str, float]] = field(default_factory=dict)
    """Values at the rungs, saved with it."""
    replicate: int = 0


class Nodes:
    def __init__(self, clock: Clock, world: World, rng: random.Random, programs: Programs) -> None:
        self.clock = clock
        self.world = world
        self.rng = rng
        self.programs = programs
        self.faults = Faults()
        self.lingered = 0
        """Attempts whose object had ended before all of its pods."""
        self.trouble: Callable[[], str] = lambda: ""
        """Why pods cannot start now: `Unschedulable`, `ErrImagePull`, ..."""
        self.faulty: Callable[[], bool] = lambda: False
        """Whether the image lacks its command still."""
        self._known: dict[int, _Program] = {}
        world.on_job = self._start
        world.on_delete = self.stop

    def _program(self, number: int) -> _Program:
        """The same for every attempt: a function of the trial and its parameters."""
        if number not in self._known:
            rng = random.Random(f"{self.world.uid}-{number}")
            kinds = self.programs.weights
            kind = rng.choices(list(kinds), list(kinds.values()))[0]
            value = _value(self.world.trials[number].trial.suggestion.parameters)
            self._known[number] = _Program(kind, rng.uniform(*self.programs.work), value)
        return self._known[number]

    def _start(self, key: Key) -> None:
        self._program(key[0])
        self.clock.after(self.rng.uniform(0.01, 2.0), lambda: self._begin(key))

    def _begin(self, key: Key) -> None:
        run = self.world.jobs.get(key)
        if run is None or run.state is not RunState.WAITING:
            return
        trouble = self.trouble()
        if trouble:
            if run.reason != trouble:
                self.world.show(replace(run, reason=trouble, message=f"{trouble}!"))
            self.clock.after(self.rng.uniform(1.0, 5.0), lambda: self._begin(key))
            return
        program = self._known[key[0]]
        self._restore(key, program)
        self.world.show(replace(run, state=RunState.RUNNING, started_at=self.clock.now, reason="", message=""))
        if program.kind == "not found" and self.faulty():
            self.clock.after(0.01, lambda: self._end(key, 127))
            return
        if self.rng.random() < self.faults.disruption:
            self.clock.after(self.rng.uniform(0.0, program.work), lambda: self._disrupt(key))
        left = max(0.0, program.work - program.done)
        if self.world.study.spec.fidelity is not None:
            self._climb(key, program)
            return
        if left > 2.0:
            self.clock.after(left / 2, lambda: self._report(key, 0.5))
        self.clock.after(left, lambda: self._finish(key, program))

    def _restore(self, key: Key, program: _Program) -> None:
        """From the checkpoint, if it is still there and of the same replicate."""
        replicate = len(self.world.trials[key[0]].trial.replicates)
        if replicate != program.replicate or self.rng.random() < self.faults.lost_checkpoint:
            program.done, program.rungs, program.replicate = 0.0, {}, replicate

    def _climb(self, key: Key, program: _Program) -> None:
        """Trains until the budget of this attempt, and reports what it reaches at each rung."""
        spec, trial = self.world.study.spec, self.world.trials[key[0]].trial
        full, target = budgets(spec, trial)[-1], until(spec, trial) or 1
        step = program.work / full
        for budget in budgets(spec, trial):
            if (budget not in program.rungs or budget == target) and budget < full and budget <= target:
                stops = budget == target
                at = max(0.0, budget * step - program.done)
                self.clock.after(at, lambda budget=budget, stops=stops: self._reach(key, budget, stops=stops))
        if target >= full:
            self.clock.after(max(0.0, full * step - program.done), lambda: self._finish(key, program))

    def _reach(self, key: Key, budget: int, *, stops: bool) -> None:
        run = self.world.jobs.get(key)
        if run is None or run.state is not RunState.RUNNING:
            return
        program = self._known[key[0]]
        report = self._at_rung(key, program, budget)
        if report is not None and (stops or self.rng.random() < 0.7):  # else the scrape comes later
            self.world.show(replace(run, report=report))
        if stops and program.kind != "endless":
            self.clock.after(self.rng.uniform(0.01, 2.0), lambda: self._stops_by_itself(key, report))

    def _at_rung(self, key: Key, program: _Program, budget: int) -> Report | None:
        full = budgets(self.world.study.spec, self.world.trials[key[0]].trial)[-1]
        program.done = max(program.done, program.work * budget / full)
        if program.kind in ("silent", "unknown"):
            return None
        # Trained again from nothing, a trial never comes to exactly the same value.
        value = program.value - 0.5 / budget * ((key[0] * 7 + 3) % 5) / 5 + 0.001 * key[1]
        if program.kind == "nan" and budget > 1:
            value = math.nan
        program.rungs[budget] = {"accuracy": value, "loss": 1.0 - value}
        return replace(_report(budget, value), rungs=dict(program.rungs))

    def _stops_by_itself(self, key: Key, report: Report | None) -> None:
        run = self.world.jobs.get(key)
        if run is not None and run.state is RunState.RUNNING:
            self._end(key, 143, report)

    def _report(self, key: Key, part: float) -> None:
        run = self.world.jobs.get(key)
        if run is not None and run.state is RunState.RUNNING:
            program = self._known[key[0]]
            program.done = max(program.done, program.work * part)
            if program.kind not in ("silent", "unknown"):
                self.world.show(replace(run, report=_report(int(part * 10), program.value * part)))

    def _finish(self, key: Key, program: _Program) -> None:
        run = self.world.jobs.get(key)
        if run is None or run.state is not RunState.RUNNING:
            return
        match program.kind:
            case "endless":
                return
            case "good" | "not found":
                self._done(key, program)
            case "again":
                # Asks for another attempt twice, then is done.
                if key[1] < 2:
                    self._end(key, 75)
                else:
                    self._done(key, program)
            case "stops":
                self._end(key, 143)
            case "nan":
                self._end(key, 0, _report(10, math.nan))
            case "silent":
                self._end(key, 0)
            case "unknown":
                self._end(key, 0, replace(_report(10, 1.0), final={"other": 1.0}, best={}, mean={}))
            case "oom":
                self._end(key, 137, reason="OOMKilled")
            case code:
                self._end(key, int(code))

    def _done(self, key: Key, program: _Program) -> None:
        value = program.value + 0.01 * ((key[0] + program.replicate) % 3)
        report = replace(_report(10, value), done=True, artifacts={"weights": "model.pt"}, rungs=dict(program.rungs))
        generation = ends_at(self.world.study.spec, self.world.trials[key[0]].trial)
        if generation is not None:  # of a population's member: its whole budget
            self._end(key, 143, replace(report, step=generation, done=False))
            return
        if self.rng.random() >= self.programs.late_report:
            self._end(key, 0, report)
            return
        self._end(key, 0, drop=True)

        def arrive() -> None:
            run = self.world.jobs.get(key)
            if run is not None:
                self.world.show(replace(run, report=report))

        self.clock.after(self.rng.uniform(0.1, 8.0), arrive)

    def _end(
        self, key: Key, code: int | None, report: Report | None = None, *, reason: str = "", drop: bool = False
    ) -> None:
        run = self.world.jobs[key]
        lingers = bool(self.faults.lingers) and self.rng.random() < self.faults.lingers
        if lingers:
            self.lingered += 1
            self.clock.after(self.rng.uniform(0.1, 60.0), lambda: self._cleared(key))
        self.world.show(
            replace(
                run,
                lingers=lingers,
                state=RunState.ENDED,
                ended_at=self.clock.now,
                exit_code=code,
                reason=reason,
                report=None if drop else report or run.report,
            )
        )

    def _cleared(self, key: Key) -> None:
        """The rest of its pods have ended by themselves."""
        run = self.world.jobs.get(key)
        if run is not None and run.state is RunState.ENDED and run.lingers:
            self.world.show(replace(run, lingers=False))

    def _disrupt(self, key: Key) -> None:
        run = self.world.jobs.get(key)
        if run is None or run.state is not RunState.RUNNING:
            return
        if self.rng.random() < self.faults.vanish:
            self.world.remove(key)
            return
        self.world.show(
            replace(
                run, state=RunState.ENDED, ended_at=self.clock.now, exit_code=None, reason="Evicted", disrupted=True
            )
        )

    def stop(self, key: Key) -> None:
        """The Job was deleted, by whomever: SIGTERM, then gone."""
        run = self.world.jobs.get(key)
        if run is None or run.state in (RunState.STOPPING, RunState.ENDED):
            if run is not None and run.state is RunState.ENDED and run.lingers:
                self.world.show(replace(run, state=RunState.STOPPING, lingers=False))
                self.clock.after(1.0, lambda: self.world.remove(key))
            elif run is not None and run.state is RunState.ENDED:
                self.world.remove(key)
            return
        if run.state is RunState.WAITING:
            self.world.show(replace(run, state=RunState.STOPPING))
            self.clock.after(0.1, lambda: self.world.remove(key))
            return
        program = self._known[key[0]]
        if run.started_at is not None and program.kind != "endless":
            program.done = min(program.work, program.done + (self.clock.now - run.started_at))
        self.world.show(replace(run, state=RunState.STOPPING))
        self.clock.after(self.rng.choice([0.2, 1.0, 5.0, 30.0]), lambda: self._stopped(key))

    def _stopped(self, key: Key) -> None:
        run = self.world.jobs.get(key)
        if run is None or run.state is not RunState.STOPPING:
            return
        if self.rng.random() >= self.faults.quick_end:
            code = self.rng.choice([143, 143, 137, 0])
            if self.rng.random() < 0.3:
                run = self._one_rung_more(key, run)
            ended = replace(run, state=RunState.ENDED, ended_at=self.clock.now, exit_code=code, disrupted=True)
            self.world.show(ended)
            self.clock.after(self.rng.uniform(0.05, 2.0), lambda: self.world.remove(key))
        else:
            self.world.remove(key)

    def _one_rung_more(self, key: Key, run: Run) -> Run:
        """What it still reached while it was stopped."""
        if self.world.study.spec.fidelity is None or key[0] not in self.world.trials:
            return run
        program = self._known[key[0]]
        trial = self.world.trials[key[0]].trial
        budget = next((b for b in budgets(self.world.study.spec, trial)[:-1] if b not in program.rungs), None)
        report = None if budget is None else self._at_rung(key, program, budget)
        return run if report is None else replace(run, report=report)


def _value(parameters: Parameters) -> float:
    numbers = [value for value in parameters.values() if isinstance(value, int | float)]
    return 1.0 / (1.0 + sum((float(number) - 0.3) ** 2 for number in numbers))


def _report(step: int, value: float) -> Report:
    best = {"accuracy": Best(value, step)} if math.isfinite(value) else {}
    return Report(
        step=step, steps=10, final={"accuracy": value, "loss": 1.0 - value}, best=best, mean={"accuracy": value}
    )
