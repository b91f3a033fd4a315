"""Runs a scenario to its end and gives its history.

`python -m tests.sim.simulate SEED` replays one, line by line;
`python -m tests.sim.simulate ASHA 'after StartRun#3:crash'` a calm one that is hit once, at a named failpoint.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tests import history
from tests.sim.clock import EPOCH, Clock, Process
from tests.sim.failpoints import Failpoints, Hit
from tests.sim.nodes import Faults, Nodes
from tests.sim.process import CrashError, Operator
from tests.sim.scenario import CALM, CALM_ONES, Deed, Scenario, Window, scenario
from tests.sim.world import World
from tuning_operator.api.status import StudyStatus
from tuning_operator.api.study import StudySpec
from tuning_operator.core.decide import decide
from tuning_operator.core.model import Plan, Snapshot

LONGEST = 200_000.0
"""Virtual seconds after which a study that has not ended never will."""


@dataclass(frozen=True, slots=True)
class Outcome:
    scenario: Scenario
    facts: list[history.Fact]
    world: World
    plan: Plan | None
    seconds: float
    crashes: int
    failpoints: Failpoints
    lingered: int

    @property
    def state(self) -> str:
        return "Deleted" if self.world.deleted else str(self.world.status.get("state", ""))

    @property
    def broken(self) -> list[history.Broken]:
        return history.check(self.facts, edit_lag=15.0)


class Simulation:
    def __init__(self, given: Scenario, hit: Hit | None = None) -> None:
        self.scenario = given
        self.failpoints = Failpoints(hit)
        self.rng = random.Random(f"world-{given.seed}")
        self.clock = Clock()
        self.world = World(self.clock, given.study_spec(), uid=f"uid-{given.seed}")
        self.nodes = Nodes(self.clock, self.world, self.rng, given.programs)
        self.nodes.faults = given.faults
        self.nodes.trouble = lambda: self._now(given.troubles)
        self.nodes.faulty = lambda: self.clock.now - EPOCH < CALM
        self.world.refusal = lambda: self._now(given.refusals) or None
        self.world.listeners.append(self._notify)
        self.crashes = 0
        self.operator: Operator
        self.process: Process
        for deed in given.deeds:
            self.clock.after(deed.at, lambda deed=deed: self._do(deed))
        self._begin()

    def run(self) -> Outcome:
        self.clock.run(until=EPOCH + LONGEST, done=self._done)
        plan = self.operator.plan
        if self.world.deleted:
            self.world.facts.append(history.Remains(self.clock.now, self.world.uid, self.world.left))
        finished = plan is not None and plan.finished
        self.world.facts.append(history.Rests(self.clock.now, self.world.uid, finished))
        seconds = self.clock.now - EPOCH
        return Outcome(
            self.scenario,
            self.world.facts,
            self.world,
            plan,
            seconds,
            self.crashes,
            self.failpoints,
            self.nodes.lingered,
        )

    def _begin(self) -> None:
        name = f"operator-{self.crashes}"
        self.world.facts.append(history.Leads(self.clock.now, name))
        self.operator = Operator(
            name, self.clock, self.world, self.rng, faults=self._faults, failpoints=self.failpoints
        )
        self.process = Process(self.clock, self.operator.run(), on_exit=self._ended)

    def _ended(self, error: BaseException | None) -> None:
        if not isinstance(error, CrashError):
            raise RuntimeError("the operator ended by itself") from error
        self.crashes += 1
        self.clock.after(self.rng.uniform(0.0, 20.0), self._begin)

    def _notify(self) -> None:
        """A watch event: soon, surely when the lag is over; or never, then only the next reading finds it."""
        process = self.process if hasattr(self, "process") else None
        faults = self._faults()
        if process is None or self.rng.random() < faults.watch_lost:
            return
        self.clock.after(self.rng.uniform(0.0, 0.05), process.wake)
        if faults.lag:
            self.clock.after(faults.lag + 0.05, process.wake)

    def _faults(self) -> Faults:
        return self.scenario.faults if self.clock.now - EPOCH < CALM else Faults()

    def _now(self, windows: tuple[Window, ...]) -> str:
        at = self.clock.now - EPOCH
        return next((window.what for window in windows if window.begin <= at < window.end), "")

    def _do(self, deed: Deed) -> None:
        if self.world.deleted:
            return
        spec = self.world.study.spec
        match deed.what:
            case "suspend":
                self._edit(spec, suspend=deed.value)
            case "limit":
                name, value = deed.value
                self._edit(spec, limits=spec.limits.model_copy(update={name: value}))
            case "drop final":
                self._edit(spec, final=None)
            case "delete job" if self.world.jobs:
                self.nodes.stop(self.rng.choice(list(self.world.jobs)))
            case "forget status":
                self.world.forget_status()
            case "delete study":
                self.world.delete_study()

    def _edit(self, spec: StudySpec, **changes: Any) -> None:
        self.world.edit(spec.model_copy(update=changes))

    def _done(self) -> bool:
        after_last_deed = self.clock.now - EPOCH > max((deed.at for deed in self.scenario.deeds), default=0.0)
        if not after_last_deed:
            return False
        if self.world.deleted:
            return self.clock.now - EPOCH > CALM + 300.0
        plan = self.operator.plan
        rests = plan is not None and plan.finished and not self.world.live and plan.status == self.world.status
        return rests and self.operator.generation == self.world.study.generation


def simulate(seed: int) -> Outcome:
    return Simulation(scenario(seed)).run()


def complaints(outcome: Outcome) -> list[str]:
    """What is wrong with a run; nothing if every promise was kept."""
    return [str(broken) for broken in outcome.broken] + _about_the_status(outcome)


def _about_the_status(outcome: Outcome) -> list[str]:
    """At the end it stands as it would be written, and would come back the same if somebody deleted it."""
    if outcome.world.deleted:
        return []
    world = outcome.world
    StudyStatus.model_validate(world.status)
    snapshot = Snapshot(
        study=world.study,
        trials=tuple(each.trial for _, each in sorted(world.trials.items())),
        runs=tuple(world.jobs.values()),
    )
    known = decide(replace(snapshot, previous_status=world.status), world.clock.now)
    anew = decide(snapshot, world.clock.now)
    found = []
    if known.actions or not known.finished:
        found.append(f"after the end there is still something to do: {known.actions}")
    if known.status != world.status:
        found.append(f"the status would be written again: {world.status} -> {known.status}")
    if timeless(anew.status) != timeless(world.status):
        found.append(f"deleted, the status would not come back the same: {world.status} -> {anew.status}")
    return found


def timeless(status: object) -> object:
    """Without the times at which conditions changed."""
    if isinstance(status, Mapping):
        return {key: timeless(value) for key, value in status.items() if key != "lastTransitionTime"}
    return [timeless(each) for each in status] if isinstance(status, list) else status


def _main() -> None:
    which, *hit = sys.argv[1:]
    given = scenario(int(which)) if which.isdecimal() else CALM_ONES[which]
    outcome = Simulation(given, Hit.parse(hit[0]) if hit else None).run()
    print(outcome.scenario)
    for fact in outcome.facts:
        print(f"{fact.at - EPOCH:10.3f} {fact}")
    print(f"{outcome.state} after {outcome.seconds:.1f} s, {outcome.crashes} crashes")
    for complaint in complaints(outcome):
        print(f"BROKEN {complaint}")


if __name__ == "__main__":
    _main()
