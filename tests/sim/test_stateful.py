"""`decide` against a world that hypothesis drives: any order of plans, parts of plans, ends, losses, edits and time.

Unlike the simulation nothing here is likely or timed; what is found comes back as the shortest story.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests import history
from tests.sim.scenario import SCHEDULERS
from tests.unit.core.builders import Doing, Scene, a_report, a_study, a_suggestion
from tuning_operator.api.status import StudyStatus
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.decide import decide
from tuning_operator.core.memo import Memo
from tuning_operator.core.model import (
    QUEUED,
    CreateTrial,
    Plan,
    RecordAttempt,
    RecordResult,
    Result,
    Run,
    RunState,
    StartProblem,
    StartRun,
    StopRun,
)
from tuning_operator.core.rungs import budgets, ends_at, until
from tuning_operator.search.types import Suggestion
from tuning_trial.report import Report

UID = "uid-1"
POPULATION = 4
ENDS: list[tuple[int | None, dict[str, Any]]] = [
    (0, {"value": 0.5}),
    (0, {"value": 0.95}),
    (0, {"value": math.nan}),
    (0, {}),
    (1, {}),
    (42, {}),
    (75, {}),
    (127, {}),
    (137, {"reason": "OOMKilled"}),
    (143, {}),
    (143, {"disrupted": True}),
    (None, {"disrupted": True}),
]


class AnyWorld(RuleBasedStateMachine):
    @initialize(
        trials=st.integers(1, 5),
        parallel=st.integers(1, 3),
        failures=st.integers(0, 3),
        goal=st.sampled_from([None, 0.9]),
        timeout=st.sampled_from([None, "1m"]),
        patience=st.sampled_from([None, 2]),
        final=st.booleans(),
    )
    def begin(self, *, trials: int, parallel: int, failures: int, final: bool, **rest: Any) -> None:
        self._begin(
            objectives=[{"metric": "accuracy", "goal": "Maximize", "target": rest["goal"]}],
            limits={"trials": trials, "parallel": parallel, "failures": failures, "patience": rest["patience"]},
            trial={"trainer": {}, "retries": 1, "timeout": rest["timeout"]},
            final={"retrain": True} if final else None,
        )

    def _begin(self, **changes: Any) -> None:
        self.changes: dict[str, Any] = {"metrics": {"waitSeconds": 10}} | changes
        self.doing = Doing(a_study(**self.changes).without_suggestions().at(0))
        self.doing.vanish = False
        self.memo = Memo()
        self.facts: list[history.Fact] = []
        self._spec_set()

    # The operator.

    @rule(share=st.floats(0, 1))
    def carry_out(self, share: float) -> None:
        """A plan, or the first part of it: then it crashed."""
        plan = self._plan()
        count = math.ceil(share * len(plan.actions))
        for action in plan.actions[:count]:
            self._note(action)
            self.doing.apply((action,), seconds=0.0)
        if count == len(plan.actions):
            best = plan.status.get("best")
            number = best["number"] if isinstance(best, dict) else None
            self.facts.append(history.StatusWritten(self._now, "op", UID, number))
            self._change(previous_status=plan.status)

    @rule()
    def suggest(self) -> None:
        plan = self._plan()
        self._change(suggestions={number: self._suggestion(number) for number in plan.suggest})

    @rule()
    def work_undisturbed(self) -> None:
        """Most of the time all goes well; without this few stories get far."""
        self.suggest()
        for _ in range(3):
            self.carry_out(1.0)
        for run in self._runs(RunState.WAITING):
            self._put(_begun(run, self._now))
        for run in self._runs(RunState.STOPPING):
            self._remove(run)
        self.what_is_over_is_cleared_away()

    @rule()
    def lose_the_status(self) -> None:
        self._change(previous_status={})

    # The world.

    @rule(seconds=st.sampled_from([0.1, 5.0, 45.0, 700.0]))
    def time_passes(self, seconds: float) -> None:
        self.doing.scene = replace(self._scene, now=self._scene.now + seconds)

    @precondition(lambda self: self._runs(RunState.WAITING))
    @rule(data=st.data())
    def a_run_begins(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self._runs(RunState.WAITING)))
        self._put(_begun(run, self._now))

    @precondition(lambda self: self._runs(RunState.WAITING))
    @rule(data=st.data(), reason=st.sampled_from(["ErrImagePull", "Unschedulable", "ContainerCreating", QUEUED]))
    def a_run_has_to_wait(self, data: st.DataObject, reason: str) -> None:
        self._put(replace(data.draw(st.sampled_from(self._runs(RunState.WAITING))), reason=reason))

    @precondition(lambda self: self._runs(RunState.RUNNING))
    @rule(data=st.data())
    def a_queue_takes_a_place_back(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(self._runs(RunState.RUNNING)))
        self._put(replace(run, state=RunState.WAITING, ended_at=self._now, reason=QUEUED))

    @rule(absence=st.sampled_from(["", "the cluster has no JobSet"]))
    def the_kind_of_trials_goes_or_comes_back(self, absence: str) -> None:
        self._change(absence=absence)

    @precondition(lambda self: self._runs(RunState.RUNNING, RunState.STOPPING))
    @rule(data=st.data(), end=st.sampled_from(ENDS))
    def a_run_ends(self, data: st.DataObject, end: tuple[int | None, dict[str, Any]]) -> None:
        run = data.draw(st.sampled_from(self._runs(RunState.RUNNING, RunState.STOPPING)))
        code, more = end
        report = self._last_words(run, more["value"]) if "value" in more else run.report
        self.facts.append(history.RunGone(self._now, UID, run.trial, run.attempt))
        self._put(
            replace(
                run,
                state=RunState.ENDED,
                ended_at=self._now,
                exit_code=code,
                reason=more.get("reason", ""),
                disrupted=more.get("disrupted", run.state is RunState.STOPPING),
                report=report,
            )
        )

    @precondition(lambda self: self._runs(*RunState))
    @rule(data=st.data())
    def a_job_is_deleted_and_gone(self, data: st.DataObject) -> None:
        self._remove(data.draw(st.sampled_from(self._runs(*RunState))))

    @rule()
    def what_is_over_is_cleared_away(self) -> None:
        """Of a paused trial nothing is left but its record."""
        states = {trial.number: trial.recorded_state for trial in self._scene.snapshot.trials}
        for run in self._runs(RunState.ENDED):
            if states[run.trial] not in (TrialState.PENDING, TrialState.QUEUED, TrialState.RUNNING):
                self._remove(run)

    @rule(trial=st.integers(0, 5), reason=st.sampled_from(["QuotaExceeded", "Forbidden"]))
    def a_start_is_refused(self, trial: int, reason: str) -> None:
        trials = self._scene.snapshot.trials
        if trial < len(trials) and not any(run.trial == trial for run in self._scene.snapshot.runs):
            problem = StartProblem(trial, trials[trial].attempt, reason, "no", self._now, self._now)
            self._change(problems=(problem,))

    @rule()
    def refusals_end(self) -> None:
        self._change(problems=())

    # People.

    @rule(suspend=st.booleans())
    def suspend_or_resume(self, suspend: bool) -> None:
        self._edit(suspend=suspend)

    @rule(name=st.sampled_from(["trials", "parallel", "failures"]), value=st.integers(1, 5))
    def edit_a_limit(self, name: str, value: int) -> None:
        self._edit(limits=self.changes["limits"] | {name: value})

    # What must always hold.

    @invariant()
    def the_promises_are_kept(self) -> None:
        broken = history.check(getattr(self, "facts", []), edit_lag=0.0)
        assert not broken, broken

    @invariant()
    def a_decision_is_a_function_of_what_is_seen(self) -> None:
        if hasattr(self, "doing"):
            plan = self._plan()
            assert plan == decide(self._scene.snapshot, self._now)
            StudyStatus.model_validate(plan.status)
            assert plan.finished or plan.requeue_after is not None
            assert plan.requeue_after is None or 0 <= plan.requeue_after <= 60

    @invariant()
    def every_trial_of_the_search_is_in_one_count(self) -> None:
        if not hasattr(self, "doing"):
            return
        plan, snapshot = self._plan(), self._scene.snapshot
        search = {trial.number for trial in snapshot.trials if trial.role is Role.SEARCH}
        search |= {each.number for each in plan.actions if isinstance(each, CreateTrial) and each.role is Role.SEARCH}
        counts: dict[str, int] = dict(plan.status["counts"])  # type: ignore[call-overload]
        assert counts.pop("total") == len(search)
        assert sum(counts.values()) == len(search), counts
        over = {each.trial for each in plan.actions if isinstance(each, RecordResult | StopRun)}
        queued = {
            trial.number
            for trial in snapshot.trials
            for run in snapshot.runs
            if run.queued and (run.trial, run.attempt) == (trial.number, trial.attempt) and trial.result is None
        }
        assert counts["pending"] >= len(queued & search - over), counts

    def teardown(self) -> None:
        """Left alone, with all troubles gone, every study comes to its end."""
        if not hasattr(self, "doing"):
            return
        self._edit(suspend=False)
        for _ in range(400):
            self._change(problems=(), absence="")
            plan = self._plan()
            if plan.finished:
                break
            self.suggest()
            self.carry_out(1.0)
            for run in self._runs(RunState.STOPPING):
                self._remove(run)
            for run in self._runs(RunState.WAITING):
                self._put(_begun(run, self._now))
            for run in self._runs(RunState.RUNNING):
                self.facts.append(history.RunGone(self._now, UID, run.trial, run.attempt))
                self._put(replace(run, state=RunState.ENDED, ended_at=self._now, **self._good_end(run)))
            self.time_passes(45.0)
        self.carry_out(1.0)
        self.facts.append(history.Rests(self._now, UID, self._plan().finished))
        self.the_promises_are_kept()

    # Helpers.

    def _suggestion(self, number: int) -> Suggestion:
        return a_suggestion(number)

    def _last_words(self, run: Run, value: float) -> Report:
        return a_report(value)

    def _good_end(self, run: Run) -> dict[str, Any]:
        return {"exit_code": 0, "report": a_report(0.5)}

    @property
    def _scene(self) -> Scene:
        return self.doing.scene

    @property
    def _now(self) -> float:
        return self._scene.now

    def _plan(self) -> Plan:
        return decide(self._scene.snapshot, self._now, memo=self.memo)

    def _runs(self, *states: RunState) -> list[Run]:
        return [run for run in self._scene.snapshot.runs if run.state in states] if hasattr(self, "doing") else []

    def _change(self, **changes: Any) -> None:
        self.doing.scene = replace(self._scene, snapshot=replace(self._scene.snapshot, **changes))

    def _put(self, run: Run) -> None:
        others = [r for r in self._scene.snapshot.runs if (r.trial, r.attempt) != (run.trial, run.attempt)]
        self._change(runs=(*others, run))

    def _remove(self, run: Run) -> None:
        if run.state is not RunState.ENDED:
            self.facts.append(history.RunGone(self._now, UID, run.trial, run.attempt))
        self._change(runs=tuple(r for r in self._scene.snapshot.runs if r is not run))

    def _edit(self, **changes: Any) -> None:
        self.changes |= changes
        self.doing.scene = self._scene.edited(**self.changes)
        self._spec_set()

    def _spec_set(self) -> None:
        spec = self._scene.snapshot.study.spec
        confirmed = spec.final is not None and spec.final.confirm is not None
        metric = "" if confirmed or len(spec.objectives) > 1 else "accuracy"
        self.facts.append(history.SpecSet(self._now, UID, spec.limits.parallel, spec.limits.trials, metric, True))

    def _note(self, action: object) -> None:
        known = {(run.trial, run.attempt) for run in self._scene.snapshot.runs}
        match action:
            case CreateTrial():
                search, last = action.role is Role.SEARCH, action.role is Role.FINAL
                self.facts.append(history.TrialCreated(self._now, "op", UID, action.number, search, last))
            case StartRun() if (action.trial, action.attempt) not in known:
                self.facts.append(history.RunCreated(self._now, "op", UID, action.trial, action.attempt))
            case RecordAttempt():
                self._note_record(action, action.state.value, None)
            case RecordResult():
                self._note_record(action, action.result.state.value, _as_recorded(action.result))
            case StopRun():
                pass

    def _note_record(self, action: RecordAttempt | RecordResult, state: str, result: dict[str, Any] | None) -> None:
        self.facts.append(
            history.TrialRecorded(
                self._now,
                "op",
                UID,
                action.trial,
                action.attempt,
                result,
                state=state,
                rungs=tuple(asdict(rung) for rung in action.rungs),
                replicates=tuple(asdict(run) for run in action.replicates),
            )
        )


def _begun(run: Run, now: float) -> Run:
    return replace(run, state=RunState.RUNNING, started_at=now, ended_at=None, reason="")


def _as_recorded(result: Result) -> dict[str, Any]:
    return {"state": result.state.value, "values": dict(result.values), "infeasible": result.infeasible}


class AnyLadder(AnyWorld):
    """With rungs, populations, replicates, further runs of the best, and several objectives, in any mixture."""

    @initialize(
        trials=st.integers(1, 8),
        parallel=st.integers(1, 3),
        failures=st.integers(0, 3),
        scheduler=st.sampled_from(SCHEDULERS),
        replicates=st.sampled_from([None, None, {"count": 2}, {"count": 3, "giveUp": True}]),
        confirm=st.sampled_from([None, None, {"top": 2, "runs": 1}, {"top": 1, "runs": 2}]),
        objectives=st.sampled_from([1, 1, 2]),
        patience=st.sampled_from([None, None, 3]),
    )
    def begin(
        self, *, trials: int, parallel: int, failures: int, scheduler: dict[str, Any], objectives: int, **rest: Any
    ) -> None:
        goals = [{"metric": "accuracy", "goal": "Maximize"}, {"metric": "size", "goal": "Minimize"}]
        self._begin(
            objectives=goals[:objectives],
            limits={"trials": trials, "parallel": parallel, "failures": failures, "patience": rest["patience"]},
            trial={"trainer": {}, "retries": 1, "replicates": rest["replicates"]},
            fidelity={"min": 1, "max": 9, "reduction": 3},
            scheduler=scheduler,
            final={"retrain": True, "confirm": rest["confirm"]} if rest["confirm"] else None,
        )

    @precondition(lambda self: self._runs(RunState.RUNNING, RunState.STOPPING))
    @rule(data=st.data(), value=st.sampled_from([0.1, 0.5, 0.5, 0.9, math.nan]))
    def a_run_reaches_a_rung(self, data: st.DataObject, value: float) -> None:
        """Also while it is being stopped."""
        run = data.draw(st.sampled_from(self._runs(RunState.RUNNING, RunState.STOPPING)))
        known = {} if run.report is None else dict(run.report.rungs)
        ahead = [budget for budget in self._budgets(run) if budget not in known]
        if ahead:
            self._put(replace(run, report=_at(ahead[0], value, known)))

    @precondition(lambda self: self._runs(RunState.RUNNING))
    @rule(data=st.data())
    def a_run_trains_as_long_as_it_shall(self, data: st.DataObject) -> None:
        """To its end, or to the rung at which this attempt stops by itself."""
        run = data.draw(st.sampled_from(self._runs(RunState.RUNNING)))
        self.facts.append(history.RunGone(self._now, UID, run.trial, run.attempt))
        self._put(replace(run, state=RunState.ENDED, ended_at=self._now, **self._good_end(run)))

    def _budgets(self, run: Run) -> list[int]:
        """Rungs that this attempt may come to."""
        spec, trial = self._scene.snapshot.study.spec, self._scene.snapshot.trials[run.trial]
        end = until(spec, trial) or 0
        return [budget for budget in budgets(spec, trial) if budget <= end]

    def _suggestion(self, number: int) -> Suggestion:
        if self.changes["scheduler"]["name"] != "PBT":
            return a_suggestion(number)
        parent = number - POPULATION if number >= POPULATION else None
        return replace(a_suggestion(number), generation=number // POPULATION, parent=parent)

    def _last_words(self, run: Run, value: float) -> Report:
        rungs = {} if run.report is None else dict(run.report.rungs)
        return replace(_at(9, value, {}), rungs=rungs)

    def _good_end(self, run: Run) -> dict[str, Any]:
        trial = self._scene.snapshot.trials[run.trial]
        report = None
        for budget in self._budgets(run):
            report = _at(budget, 0.5, {} if report is None else dict(report.rungs))
        stands = ends_at(self._scene.snapshot.study.spec, trial) is not None
        return {"exit_code": 143 if stands else 0, "report": report or _at(9, 0.5, {})}


def _at(step: int, value: float, known: dict[int, Mapping[str, float]]) -> Report:
    values = {"accuracy": value, "size": 1.0 / step}
    return replace(a_report(value, size=1.0 / step), step=step, rungs=known | {step: values})


TestAnyWorld = AnyWorld.TestCase
TestAnyWorld.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, derandomize=True)
TestAnyLadder = AnyLadder.TestCase
TestAnyLadder.settings = settings(max_examples=150, stateful_step_count=50, deadline=None, derandomize=True)
