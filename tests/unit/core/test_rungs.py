"""Trials on rungs: what a reported value leads to, who gets a free slot, and what the study comes to.

With the smallest scheduler that pauses: of each rung the best third may go on, as far as it came.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.unit.core.builders import (
    T0,
    Described,
    Doing,
    Scene,
    a_study,
    ended,
    pending,
    recorded,
    running,
    stopping,
)
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.history import told
from tuning_operator.core.model import (
    CreateTrial,
    RecordAttempt,
    RecordResult,
    Result,
    Run,
    Rung,
    RunState,
    StartRun,
    StopRun,
    Trial,
)
from tuning_operator.core.rungs import budgets, ends_at, until
from tuning_operator.search.schedulers.table import Row, State, Table, Verdict
from tuning_operator.search.types import Observation, Suggestion
from tuning_trial.report import Best, Report


@dataclass(frozen=True)
class BestThird:
    """Rungs 1, 3, 9; a trial of the best third goes on, another one waits, or is ended (`stop`)."""

    stop: bool = False
    stepwise: bool = False
    """Attempts end at the next rung."""

    def rungs(self, number: int) -> tuple[int, ...]:
        return (1, 3, 9)

    def bracket(self, number: int) -> int:
        return 0

    def until(self, number: int, rung: int) -> int:
        return (1, 3, 9)[rung + 1] if self.stepwise else 9

    def judge(self, table: Table, number: int) -> Verdict:
        row = next(row for row in table if row.number == number)
        if number in self._top(table, len(row.losses) - 1):
            return Verdict.GO_ON
        return Verdict.STOP if self.stop else Verdict.PAUSE

    def promotable(self, table: Table, *, complete: bool = False) -> list[int]:
        found = []
        for rung in (1, 0):
            top = self._top(table, rung)
            found += [row.number for row in table if row.state is State.PAUSED and _at(row, rung) and row.number in top]
        return found

    def hopeless(self, table: Table, *, complete: bool) -> list[int]:
        if not complete or any(row.state is State.RUNNING for row in table):
            return []
        return [row.number for row in table if row.state is State.PAUSED and row.number not in self.promotable(table)]

    def _top(self, table: Sequence[Row], rung: int) -> set[int]:
        ranked = sorted((row.losses[rung], row.number) for row in table if len(row.losses) > rung)
        return {number for _, number in ranked[: len(ranked) // 3]}


def _at(row: Row, rung: int) -> bool:
    return len(row.losses) == rung + 1


CHANGES: dict[str, Any] = {
    "fidelity": {"parameter": "epochs", "min": 1, "max": 9, "reduction": 3},
    "scheduler": {"name": "ASHA"},
}


@pytest.fixture
def scheduler(monkeypatch: pytest.MonkeyPatch) -> BestThird:
    return _use(monkeypatch, BestThird())


def _use(monkeypatch: pytest.MonkeyPatch, made: BestThird) -> BestThird:
    def scheduler_for(spec: StudySpec) -> BestThird | None:
        return made if spec.fidelity is not None else None

    monkeypatch.setattr("tuning_operator.core.rungs.scheduler_for", scheduler_for)
    return made


def a_climb(**changes: Any) -> Scene:
    return a_study(**(CHANGES | changes))


def at_step(step: int, *values: float, done: bool = False) -> Report:
    """Values at the rungs 1, 3, 9, as far as given."""
    last = values[-1] if values else 0.5
    rungs = {budget: {"accuracy": value} for budget, value in zip((1, 3, 9), values, strict=False)}
    best = {"accuracy": Best(last, step)} if math.isfinite(last) else {}
    return Report(step=step, steps=9, final={"accuracy": last}, best=best, rungs=rungs, done=done)


def rungs(*values: float, promoted: bool = False) -> tuple[Rung, ...]:
    """Recorded ones; all but the last were passed."""
    count = len(values)
    return tuple(
        Rung(budget, {"accuracy": value}, promoted=promoted or index < count - 1)
        for index, (budget, value) in enumerate(zip((1, 3, 9), values, strict=False))
    )


def paused(*values: float, **changes: Any) -> Described:
    changes = {"attempt": 1, "started_at": T0, "accelerator_seconds": 10.0} | changes
    return pending(rungs=rungs(*values), recorded_state=TrialState.PAUSED, **changes)


def full(value: float, **changes: Any) -> Described:
    result = Result(TrialState.SUCCEEDED, "Completed", values={"accuracy": value}, step=9)
    return recorded(result, rungs=rungs(value, value, value, promoted=True), **changes)


def attempts(scene: Scene) -> dict[int, RecordAttempt]:
    return {action.trial: action for action in scene.plan().actions if isinstance(action, RecordAttempt)}


def results(scene: Scene) -> dict[int, RecordResult]:
    return {action.trial: action for action in scene.plan().actions if isinstance(action, RecordResult)}


def starts(scene: Scene) -> list[tuple[int, int]]:
    return [(action.trial, action.attempt) for action in scene.plan().actions if isinstance(action, StartRun)]


def stops(scene: Scene) -> list[tuple[int, int]]:
    return [(action.trial, action.attempt) for action in scene.plan().actions if isinstance(action, StopRun)]


@pytest.mark.usefixtures("scheduler")
def test_a_trial_among_the_best_at_its_rung_trains_on() -> None:
    scene = a_climb().with_trials(paused(0.1), paused(0.2), running(report=at_step(1, 0.9)))
    (record,) = attempts(scene).values()
    assert record.rungs == rungs(0.9, promoted=True)
    assert (record.trial, record.state, record.attempt) == (2, TrialState.RUNNING, 0)
    assert not stops(scene)


@pytest.mark.usefixtures("scheduler")
def test_values_at_a_rung_prove_the_command_where_a_failed_start_is_still_seen() -> None:
    """The Job of an attempt that could not begin may outlive that of the next one, which came to its rung."""
    failed = Run(2, 0, RunState.ENDED, T0, T0, T0 + 2.0, exit_code=127)
    scene = a_climb().with_trials(paused(0.9), paused(0.6), paused(0.7, attempt=2)).with_only_runs(failed)
    assert scene.plan().status["state"] == "Running"
    assert (0, 1) in starts(scene)


@pytest.mark.usefixtures("scheduler")
def test_another_one_is_paused_and_its_slot_is_free_when_its_run_is_gone() -> None:
    scene = a_climb(limits__parallel=1).with_trials(paused(0.5), paused(0.6), running(report=at_step(2, 0.1)))
    plan = scene.plan()
    record = attempts(scene)[2]
    assert record.rungs == rungs(0.1)
    assert (record.state, record.attempt, record.retries, record.disruptions) == (TrialState.PAUSED, 1, 0, 0)
    assert record.accelerator_seconds == 100.0
    assert stops(scene) == [(2, 0)]
    assert plan.actions.index(record) < plan.actions.index(StopRun(2, 0, "Paused")), "the record comes first"
    assert not starts(scene), "the run holds its slot until it is gone"
    assert plan.status["counts"] == {
        "total": 3,
        "pending": 0,
        "running": 0,
        "paused": 3,
        "succeeded": 0,
        "failed": 0,
        "stopped": 0,
    }


def test_a_scheduler_that_stops_gives_a_result(monkeypatch: pytest.MonkeyPatch) -> None:
    _use(monkeypatch, BestThird(stop=True))
    scene = a_climb().with_trials(full(0.5), full(0.6), running(report=at_step(1, 0.1)))
    record = results(scene)[2]
    assert (record.result.state, record.result.reason) == (TrialState.STOPPED, "Unpromising")
    assert record.rungs == rungs(0.1)
    assert stops(scene) == [(2, 0)]


@pytest.mark.usefixtures("scheduler")
def test_a_value_that_is_not_finite_ends_the_trial() -> None:
    scene = a_climb().with_trials(running(report=at_step(1, math.nan)))
    record = results(scene)[0]
    assert record.result.state is TrialState.STOPPED
    assert record.result.infeasible
    assert record.rungs == (Rung(1, {}, infeasible=True),)
    assert "NaN" in record.result.message


@pytest.mark.usefixtures("scheduler")
def test_several_rungs_at_once_are_judged_at_the_last_one() -> None:
    scene = a_climb().with_trials(running(report=at_step(4, 0.5, 0.6)))
    assert attempts(scene)[0].rungs == rungs(0.5, 0.6)
    assert attempts(scene)[0].state is TrialState.PAUSED


@pytest.mark.usefixtures("scheduler")
def test_a_rung_that_was_skipped_takes_the_next_ones_value() -> None:
    report = replace(at_step(4), rungs={3: {"accuracy": 0.6}})
    assert attempts(a_climb().with_trials(running(report=report)))[0].rungs == rungs(0.6, 0.6)


@pytest.mark.usefixtures("scheduler")
def test_a_rung_waits_until_every_objective_has_a_value() -> None:
    objectives = [{"metric": "accuracy", "goal": "Maximize"}, {"metric": "size", "goal": "Minimize"}]
    scene = a_climb(objectives=objectives).with_trials(running(report=at_step(1, 0.5)))
    assert not attempts(scene)


@pytest.mark.usefixtures("scheduler")
def test_a_recorded_value_stays_whatever_is_reported_later() -> None:
    told_again = running(report=at_step(2, 0.9), rungs=rungs(0.2, promoted=True))
    assert not attempts(a_climb().with_trials(told_again))


@pytest.mark.usefixtures("scheduler")
def test_a_rung_reached_while_stopping_counts_when_the_run_is_gone() -> None:
    def described(number: int) -> tuple[Trial, tuple[Run, ...]]:
        trial, _ = paused(0.2)(number)
        run = Run(number, 0, RunState.ENDED, T0, T0, T0 + 90.0, exit_code=143, report=at_step(3, 0.2, 0.8))
        return trial, (run,)

    record = attempts(a_climb(limits__parallel=1).with_trials(described, running()))[0]
    assert record.rungs == rungs(0.2, 0.8)
    assert (record.state, record.attempt) == (TrialState.PAUSED, 1)


@pytest.mark.usefixtures("scheduler")
def test_a_free_slot_goes_to_a_promoted_trial_before_a_new_one() -> None:
    scene = a_climb(limits__parallel=2).with_trials(paused(0.5), paused(0.6), paused(0.1))
    plan = scene.plan()
    record = attempts(scene)[1]
    assert (record.state, record.attempt, record.rungs) == (TrialState.PENDING, 1, rungs(0.6, promoted=True))
    assert plan.actions.index(record) < plan.actions.index(StartRun(1, 1))
    assert [action.number for action in plan.actions if isinstance(action, CreateTrial)] == [3], "the second slot"
    assert plan.status["counts"]["paused"] == 2
    assert plan.status["counts"]["running"] == 2


@pytest.mark.usefixtures("scheduler")
def test_a_promotion_whose_start_was_lost_is_started() -> None:
    lost = pending(rungs=rungs(0.6, promoted=True), attempt=1)
    scene = a_climb(limits__parallel=1).with_trials(paused(0.5), lost, paused(0.1))
    assert starts(scene) == [(1, 1)]


@pytest.mark.usefixtures("scheduler")
def test_promotions_go_on_when_every_trial_is_created() -> None:
    scene = a_climb(limits__trials=3).with_trials(paused(0.5), paused(0.6), paused(0.1))
    assert starts(scene) == [(1, 1)]
    assert scene.plan().status["state"] == "Running"


def test_few_as_they_are_one_trial_gets_the_full_budget_before_the_search_ends() -> None:
    changes = {"scheduler": {"name": "SuccessiveHalving"}, "limits__trials": 2}
    still_to_come = a_climb(**(changes | {"limits__trials": 3})).with_trials(paused(0.5), paused(0.6))
    assert starts(still_to_come) == [(2, 0)]
    scene = a_climb(**changes).with_trials(paused(0.5), paused(0.6))
    assert starts(scene) == [(1, 1)]


@pytest.mark.usefixtures("scheduler")
def test_what_cannot_be_promoted_ends_the_search() -> None:
    scene = a_climb(limits__trials=3).with_trials(paused(0.5), full(0.6), paused(0.1))
    found = results(scene)
    assert {number: found[number].result.reason for number in found} == {0: "NotPromoted", 2: "NotPromoted"}
    assert found[0].result.values == {"accuracy": 0.5}
    doing = Doing(scene)
    doing.apply(scene.plan().actions[:1])
    assert results(doing.scene)[2].result.reason == "NotPromoted", "also when a crash came in between"
    doing.apply(doing.scene.plan().actions)
    after = doing.scene.plan()
    assert after.finished
    assert after.status["state"] == "Succeeded"
    assert after.status["best"]["number"] == 1
    assert after.status["conditions"][0]["reason"] == "TrialsCompleted"


@pytest.mark.usefixtures("scheduler")
def test_patience_is_not_used_up_by_the_end_itself() -> None:
    limits = {"trials": 3, "parallel": 2, "patience": 2}
    doing = Doing(a_climb(limits=limits).with_trials(paused(0.5), full(0.6), paused(0.1)))
    doing.apply(doing.scene.plan().actions)
    assert doing.scene.plan().status["conditions"][0]["reason"] == "TrialsCompleted"


@pytest.mark.usefixtures("scheduler")
def test_other_ends_give_paused_trials_their_own_reason() -> None:
    scene = a_climb(limits={"trials": 9, "parallel": 1, "duration": "1m"}).with_trials(paused(0.5), running())
    assert {each.result.reason for each in results(scene).values()} == {"DurationReached"}


@pytest.mark.usefixtures("scheduler")
def test_suspension_leaves_paused_trials_paused_and_the_others_go_on() -> None:
    scene = a_climb(suspend=True).with_trials(paused(0.5), paused(0.6), paused(0.1), running(report=at_step(1)))
    assert {number: record.state for number, record in attempts(scene).items()} == {3: TrialState.PENDING}
    doing = Doing(scene)
    doing.apply(scene.plan().actions)
    resumed = Doing(doing.scene.edited(**CHANGES))
    assert set(starts(resumed.scene)) == {(3, 1), (1, 1)}


@pytest.mark.usefixtures("scheduler")
def test_a_lost_run_reaches_its_rung_all_the_same() -> None:
    lost = ended(None, disrupted=True, report=at_step(2, 0.3))
    scene = a_climb(limits__parallel=1).with_trials(paused(0.5), full(0.6), lost)
    record = attempts(scene)[2]
    assert (record.state, record.attempt, record.disruptions) == (TrialState.PAUSED, 1, 0)


@pytest.mark.usefixtures("scheduler")
def test_a_failure_keeps_what_was_reached() -> None:
    record = results(a_climb().with_trials(ended(43, report=at_step(2, 0.3))))[0]
    assert record.result.reason == "OutOfMemory"
    assert record.rungs == rungs(0.3)


@pytest.mark.usefixtures("scheduler")
@pytest.mark.parametrize("report", [at_step(9, 0.2, 0.3, 0.9, done=True), at_step(2, 0.2, done=True)])
def test_a_trial_that_is_done_stands_at_the_full_budget(report: Report) -> None:
    report = replace(report, final={"accuracy": 0.9})
    record = results(a_climb().with_trials(ended(0, report=report)))[0]
    assert [rung.budget for rung in record.rungs] == [1, 3, 9]
    assert record.rungs[-1].values == {"accuracy": 0.9}
    assert all(rung.promoted for rung in record.rungs[:-1])


class TestAttemptsThatEndAtTheirRung:
    @pytest.fixture(autouse=True)
    def _scheduler(self, monkeypatch: pytest.MonkeyPatch) -> None:
        _use(monkeypatch, BestThird(stepwise=True))

    def test_a_run_that_is_about_to_stop_gets_the_time_for_it(self) -> None:
        assert not attempts(a_climb().with_trials(running(report=at_step(1, 0.1))))

    def test_one_that_trains_on_is_stopped(self) -> None:
        scene = a_climb().with_trials(running(report=at_step(2, 0.1)))
        assert attempts(scene)[0].state is TrialState.PAUSED
        assert stops(scene) == [(0, 0)]

    def test_its_end_is_a_pause_and_no_retry(self) -> None:
        scene = a_climb(limits__parallel=1).with_trials(ended(143, report=at_step(1, 0.1)), running())
        record = attempts(scene)[0]
        assert (record.state, record.attempt, record.retries) == (TrialState.PAUSED, 1, 0)
        assert record.rungs == rungs(0.1)

    def test_among_the_best_its_next_attempt_starts_at_once(self) -> None:
        scene = a_climb().with_trials(paused(0.1), paused(0.2), ended(143, report=at_step(1, 0.5)))
        record = attempts(scene)[2]
        assert (record.state, record.attempt, record.retries) == (TrialState.PENDING, 1, 0)
        assert (2, 1) in starts(scene)

    def test_without_its_value_it_is_an_attempt_that_asks_for_another_one(self) -> None:
        record = attempts(a_climb().with_trials(ended(143, report=at_step(0))))[0]
        assert (record.state, record.attempt, record.retries) == (TrialState.PENDING, 1, 1)

    @pytest.mark.parametrize(
        ("reached", "step"),
        [((), 1), (rungs(0.5, promoted=True), 3), (rungs(0.5, 0.6, promoted=True), None)],
        ids=["first attempt", "promoted from the first rung", "promoted to the full budget"],
    )
    def test_until_when_an_attempt_trains(self, reached: tuple[Rung, ...], step: int | None) -> None:
        spec = a_climb().snapshot.study.spec
        trial = Trial(0, Role.SEARCH, Suggestion({}, "Random", 0), T0, rungs=reached)
        assert ends_at(spec, trial) == step
        assert until(spec, trial) == (step or 9)
        assert budgets(spec, trial) == (1, 3, 9)
        final = replace(trial, role=Role.FINAL)
        assert (until(spec, final), budgets(spec, final)) == (9, (9,))


@pytest.mark.parametrize(("generation", "step"), [(0, 2), (3, 8), (4, 9)])
def test_a_member_of_a_population_trains_one_generation(generation: int, step: int) -> None:
    changes = {"fidelity": {"min": 2, "max": 9}, "scheduler": {"name": "PBT"}}
    suggestion = Suggestion({"x": 0.5}, "PBT", 0, generation=generation)
    report = Report(step=step, steps=9, final={"accuracy": 0.5})
    scene = a_study(**changes).with_trials(ended(143, report=report, suggestion=suggestion))
    assert until(scene.snapshot.study.spec, scene.snapshot.trials[0]) == step
    assert results(scene)[0].result.state is TrialState.SUCCEEDED
    before = replace(report, step=step - 1)
    scene = a_study(**changes).with_trials(ended(143, report=before, suggestion=suggestion))
    assert attempts(scene)[0].retries == 1


@pytest.mark.usefixtures("scheduler")
def test_the_best_is_among_those_that_came_furthest() -> None:
    scene = a_climb().with_trials(paused(0.9), paused(0.3, 0.4), running(rungs=rungs(0.2, 0.5, promoted=True)))
    status = scene.plan().status
    assert (status["best"]["number"], status["bestValue"]) == (2, "0.5")
    assert status["rungs"] == [
        {"bracket": 0, "budget": 1, "reached": 3, "promoted": 3, "best": "0.9"},
        {"bracket": 0, "budget": 3, "reached": 2, "promoted": 1, "best": "0.5"},
    ]


@pytest.mark.usefixtures("scheduler")
@pytest.mark.parametrize(
    ("count", "values"),
    [
        pytest.param(8, [(0.5,)] * 8 + [None] * 9, id="enough: those of the full budget, whoever found them"),
        pytest.param(3, [(0.1,)] * 9, id="too few: the trials' own rung, and nothing of another budget"),
    ],
)
def test_earlier_results_are_values_of_the_full_budget(count: int, values: list[tuple[float, ...] | None]) -> None:
    scene = a_climb().with_trials(*(paused(0.1) for _ in range(9)))
    earlier = tuple(Observation(number - count, {"lr": 0.1}, (0.5,)) for number in range(count))
    found = told(replace(scene.snapshot, earlier=earlier))
    assert [each.values for each in found.history] == values


@pytest.mark.usefixtures("scheduler")
def test_the_search_learns_what_each_trial_would_have_at_the_highest_rung() -> None:
    low = [paused(0.5), paused(0.3), paused(0.1)]
    high = [running(rungs=rungs(0.6, 0.7, promoted=True)), stopping(rungs=rungs(0.4, 0.6))]
    scene = a_climb().with_trials(*low, *high, running())
    found = told(scene.snapshot)
    expected = [0.65, 0.5, 0.3, 0.7, 0.6]  # between the two that came further; below them, as far as at the first rung
    assert [each.values for each in found.history] == [(pytest.approx(value),) for value in expected]
    assert list(found.running) == [5]
    found = told(scene.with_trials(full(0.8)).snapshot)
    assert [each.values for each in found.history] == [(pytest.approx(value),) for value in (*expected, 0.8)]
    assert list(found.running) == [5]
