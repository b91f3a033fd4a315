"""The operator of the simulation: gather, decide, act, with a failpoint before and after every write.

Only the loop is a double; what it decides and what it suggests are the product's own. All that it keeps in memory is
lost when it crashes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from tests.sim.clock import Clock, Pause, Steps
from tests.sim.failpoints import ASLEEP_SECONDS, STALE_SECONDS, Failpoints, How
from tests.sim.nodes import Faults
from tests.sim.world import ApiError, ExistsError, Key, NotFoundError, RefusedError, World
from tuning_operator.core.decide import decide
from tuning_operator.core.history import told
from tuning_operator.core.memo import Memo
from tuning_operator.core.model import (
    Action,
    CreateTrial,
    Plan,
    RecordAttempt,
    RecordResult,
    Snapshot,
    StartProblem,
    StartRun,
    StopRun,
)
from tuning_operator.search.suggest import problem, suggest
from tuning_operator.search.types import Observation, Suggestion, Waiting


class CrashError(Exception):
    """The process is killed here."""


class Operator:
    def __init__(
        self,
        name: str,
        clock: Clock,
        world: World,
        rng: random.Random,
        *,
        faults: Callable[[], Faults],
        failpoints: Failpoints,
    ) -> None:
        self.name = name
        self.clock = clock
        self.world = world
        self.rng = rng
        self.faults = faults
        self.failpoints = failpoints
        self.plan: Plan | None = None
        self.generation = 0
        """Of the spec that the plan was made from."""
        self._seen_at = clock.now
        """How far its watches are; a new process begins with a list."""
        self._blind_until = clock.now
        """As long as its watches bring nothing."""
        self._touched: dict[Key, float] = {}
        """When it last wrote a Job, or was told that it exists: nothing older of it is believed."""
        self._suggestions: dict[int, Suggestion] = {}
        self._known: tuple[Observation, ...] | None = None
        self._exhausted = False
        self._problems: dict[int, StartProblem] = {}
        self._memo = Memo()

    def run(self) -> Steps:
        failures = 0
        while True:
            snapshot, versions = self._gather()
            yield Pause(self.rng.uniform(0.0, 0.02))
            plan = decide(snapshot, self.clock.now, memo=self._memo)
            if plan != decide(snapshot, self.clock.now):
                raise AssertionError("what was remembered changed the plan")
            self.plan, self.generation = plan, snapshot.study.generation
            news = yield from self._suggest(snapshot, plan)
            failed = yield from self._act(plan, versions)
            if not failed and plan.status != self.world.status:
                failed = yield from self._write_status(plan)
            if failed:
                failures += 1
                yield Pause(min(30.0, 0.1 * 2.0**failures))
                continue
            failures = 0
            if not plan.actions and not news:
                yield Pause(60.0 if plan.requeue_after is None else plan.requeue_after + 0.001, wakeable=True)

    def _gather(self) -> tuple[Snapshot, dict[int, int]]:
        self._see()
        study = self.world.study_at(self._seen_at)
        if self.world.deleted:
            study = replace(study, deleting=True)
        stored = dict(sorted(self.world.trials.items()))
        runs = self.world.runs_at(self._seen_at, self._touched)
        seen = {(run.trial, run.attempt) for run in runs}
        self._problems = {
            number: found
            for number, found in self._problems.items()
            if number in stored
            and found.attempt == stored[number].trial.attempt
            and (number, found.attempt) not in seen
        }
        total = len(stored)
        snapshot = Snapshot(
            study=study,
            trials=tuple(each.trial for each in stored.values()),
            runs=runs,
            suggestions={number: made for number, made in self._suggestions.items() if number >= total},
            exhausted=self._exhausted,
            problems=tuple(self._problems.values()),
            previous_status=self.world.status,
        )
        return snapshot, {number: each.version for number, each in stored.items()}

    def _see(self) -> None:
        """How much of the world has come by now."""
        faults, now = self.faults(), self.clock.now
        if now < self._blind_until:
            return
        if faults.expired and self.rng.random() < faults.expired:
            self._seen_at = now  # 410: it lists anew, and what was between is never seen
        lag = faults.lag
        self._seen_at = max(self._seen_at, now - self.rng.uniform(0.0, lag) if lag else now)

    def _suggest(self, snapshot: Snapshot, plan: Plan) -> Steps:
        """As the product does it: some time later than asked for, from what is known then. Returns whether there is
        news.
        """
        known = told(snapshot, memo=self._memo)
        if known != told(snapshot):
            raise AssertionError("what was remembered changed what the search is told")
        if known.history != self._known:
            self._known, self._exhausted = known.history, False
            self._suggestions = {}
        wanted = [number for number in plan.suggest if number not in self._suggestions]
        if not wanted:
            return False
        yield Pause(self.rng.uniform(0.0, 0.05))
        task = problem(snapshot.study.spec, study_uid=self.world.uid)
        under_way = known.running | {
            action.number: action.suggestion.parameters for action in plan.actions if isinstance(action, CreateTrial)
        }
        before = len(self._suggestions)
        for number in plan.suggest:
            if number not in self._suggestions:
                made = suggest(
                    task,
                    history=known.history,
                    running=under_way | {n: s.parameters for n, s in self._suggestions.items()},
                    number=number,
                )
                if isinstance(made, Waiting):
                    return len(self._suggestions) > before
                if not isinstance(made, Suggestion):
                    news = not self._exhausted
                    self._exhausted = True
                    return news
                self._suggestions[number] = made
        return True

    def _act(self, plan: Plan, versions: dict[int, int]) -> Steps:
        """Returns whether anything failed: then the status is not written, and everything is derived anew."""
        failed = False
        broken: set[int] = set()
        for action in self._order(plan.actions):
            if _number(action) in broken:
                continue
            try:
                yield from self._write(type(action).__name__, lambda action=action: self._do(action, versions))
            except RefusedError as error:
                self._refused(action, error)
                broken.add(_number(action))
            except ApiError:
                failed = True
                broken.add(_number(action))
                if isinstance(action, CreateTrial):
                    broken |= {each.number for each in plan.actions if isinstance(each, CreateTrial)}
        return failed

    def _write_status(self, plan: Plan) -> Steps:
        try:
            yield from self._write("status", lambda: self.world.write_status(self.name, plan.status))
        except ApiError:
            return True
        return False

    def _order(self, actions: tuple[Action, ...]) -> list[Action]:
        """Chains of one trial keep their order, and trials are created one after the other; otherwise any order."""
        if self.rng.random() >= self.faults().disorder:
            return list(actions)
        creating = {action.number for action in actions if isinstance(action, CreateTrial)}
        lanes: dict[int, list[Action]] = {}
        for action in actions:
            lanes.setdefault(-1 if _number(action) in creating else _number(action), []).append(action)
        tickets = [lane for lane, chain in lanes.items() for _ in chain]
        self.rng.shuffle(tickets)
        return [lanes[lane].pop(0) for lane in tickets]

    def _do(self, action: Action, versions: dict[int, int]) -> None:
        try:
            match action:
                case CreateTrial():
                    self.world.create_trial(self.name, action)
                case StartRun():
                    self.world.create_job(self.name, (action.trial, action.attempt))
                case StopRun():
                    self.world.delete_job((action.trial, action.attempt))
                case RecordAttempt() | RecordResult():
                    faults = self.faults()
                    if faults.conflict and self.rng.random() < faults.conflict:
                        self.world.touch(action.trial)  # 409: somebody else has just written to it
                    self.world.record(self.name, action, versions[action.trial])
                    versions[action.trial] = self.world.trials[action.trial].version
        except ExistsError:
            pass
        except NotFoundError:
            if not isinstance(action, StopRun):
                raise
        if isinstance(action, StartRun):
            self._touched[action.trial, action.attempt] = self.clock.now

    def _write(self, what: str, write: Callable[[], None]) -> Steps:
        faults = self.faults()
        yield from self._pass(f"before {what}", faults)
        yield Pause(self.rng.uniform(0.001, 0.02))
        luck = self.rng.random()
        if luck < faults.api_error:
            raise ApiError("the API server is not there")
        if faults.throttled and self.rng.random() < faults.throttled:
            yield Pause(self.rng.uniform(0.5, 3.0))
            raise ApiError("429, and again after the time it said")
        write()
        if luck < faults.api_error + faults.answer_lost:
            raise ApiError("the answer was lost")
        yield from self._pass(f"after {what}", faults)

    def _pass(self, place: str, faults: Faults) -> Steps:
        how = self.failpoints.passing(place)
        if how is How.CRASH or self.rng.random() < faults.crash:
            raise CrashError
        if how is How.STALE:
            self._blind_until = self.clock.now + STALE_SECONDS
        if how is How.ASLEEP:
            yield Pause(ASLEEP_SECONDS)

    def _refused(self, action: Action, error: RefusedError) -> None:
        if isinstance(action, StartRun):
            before = self._problems.get(action.trial)
            since = before.since if before is not None and before.attempt == action.attempt else self.clock.now
            self._problems[action.trial] = StartProblem(
                action.trial, action.attempt, error.reason, f"{error.reason}!", since, tried_at=self.clock.now
            )


def _number(action: Action) -> int:
    return action.number if isinstance(action, CreateTrial) else action.trial
