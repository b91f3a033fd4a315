"""The nodes of the simulation: they run a Job's pod through waiting, running and ending, whatever befalls it."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from tests.sim.clock import Clock
from tests.sim.world import Key, World
from tuning_operator.core.model import RunState
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


class Nodes:
    def __init__(self, clock: Clock, world: World, rng: random.Random, programs: Programs) -> None:
        self.clock = clock
        self.world = world
        self.rng = rng
        self.programs = programs
        self.faults = Faults()
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
        self.world.show(replace(run, state=RunState.RUNNING, started_at=self.clock.now, reason="", message=""))
        if program.kind == "not found" and self.faulty():
            self.clock.after(0.01, lambda: self._end(key, 127))
            return
        if self.rng.random() < self.faults.disruption:
            self.clock.after(self.rng.uniform(0.0, program.work), lambda: self._disrupt(key))
        left = max(0.0, program.work - program.done)
        if left > 2.0:
            self.clock.after(left / 2, lambda: self._report(key, 0.5))
        self.clock.after(left, lambda: self._finish(key, program))

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
        report = replace(_report(10, program.value), done=True, artifacts={"weights": "model.pt"})
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
        self.world.show(
            replace(
                run,
                state=RunState.ENDED,
                ended_at=self.clock.now,
                exit_code=code,
                reason=reason,
                report=None if drop else report or run.report,
            )
        )

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
            if run is not None and run.state is RunState.ENDED:
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
            ended = replace(run, state=RunState.ENDED, ended_at=self.clock.now, exit_code=code, disrupted=True)
            self.world.show(ended)
            self.clock.after(self.rng.uniform(0.05, 2.0), lambda: self.world.remove(key))
        else:
            self.world.remove(key)


def _value(parameters: Parameters) -> float:
    numbers = [value for value in parameters.values() if isinstance(value, int | float)]
    return 1.0 / (1.0 + sum((float(number) - 0.3) ** 2 for number in numbers))


def _report(step: int, value: float) -> Report:
    best = {"accuracy": Best(value, step)} if math.isfinite(value) else {}
    return Report(
        step=step, steps=10, final={"accuracy": value, "loss": 1.0 - value}, best=best, mean={"accuracy": value}
    )
