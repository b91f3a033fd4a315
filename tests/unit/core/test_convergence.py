"""Any part of a plan may get lost: from wherever it was cut off, the decisions that follow lead to the same place."""

import pytest

from tests.unit.core.builders import (
    T0,
    Doing,
    Scene,
    a_report,
    a_study,
    ended,
    failed,
    pending,
    running,
    succeeded,
    vanished,
    waiting,
)
from tuning_operator.core.decide import decide

TARGET = [{"metric": "accuracy", "goal": "Maximize", "target": 0.9}]

SCENES: dict[str, Scene] = {
    "an empty study": a_study(limits__parallel=3),
    "a slot frees": a_study(limits__parallel=2).with_trials(ended(0, report=a_report()), running()),
    "attempts were lost": a_study(limits__parallel=3).with_trials(ended(75), ended(None, disrupted=True), vanished()),
    "the target is reached": a_study(objectives=TARGET, limits__parallel=4, final={"retrain": True}).with_trials(
        ended(0, report=a_report(0.95)), running(), waiting(), pending()
    ),
    "too many failures": a_study(limits__failures=0, limits__parallel=3).with_trials(
        succeeded(0.5), ended(1), running()
    ),
    "suspended": a_study(suspend=True, limits__parallel=3).with_trials(
        running(), waiting(), ended(0, report=a_report())
    ),
    "a timeout": a_study(trial__timeout="1m").with_trials(running(), failed()),
    "the final run is due": a_study(limits__trials=1, final={"retrain": True}).with_trials(succeeded(0.9)),
}


@pytest.mark.parametrize("case", SCENES)
def test_a_plan_may_be_cut_off_anywhere(case: str) -> None:
    scene = SCENES[case]
    plan = scene.plan()
    want = _settled(Doing(scene))
    for cut in range(len(plan.actions) + 1):
        doing = Doing(scene)
        doing.apply(plan.actions[:cut])
        assert _shape(_settled(doing)) == _shape(want), f"after {plan.actions[:cut]}"


@pytest.mark.parametrize("case", SCENES)
def test_the_same_snapshot_gives_the_same_plan(case: str) -> None:
    scene = SCENES[case]
    assert decide(scene.snapshot, scene.now) == decide(scene.snapshot, scene.now)


@pytest.mark.parametrize("case", SCENES)
def test_once_carried_out_there_is_nothing_more_to_do(case: str) -> None:
    settled = _settled(Doing(SCENES[case]))
    again = settled.scene.plan()
    assert not again.actions
    known = settled.scene.with_status(again.status).plan()
    assert known.status == again.status
    assert not known.events


@pytest.mark.parametrize("case", SCENES)
def test_a_repeated_action_is_never_a_new_one(case: str) -> None:
    doing = _settled(Doing(SCENES[case]))
    created = [action for action in doing.done if type(action).__name__ in ("CreateTrial", "RecordResult")]
    assert len(created) == len(set(map(repr, created)))


def _settled(doing: Doing) -> Doing:
    for _ in range(20):
        plan = doing.scene.plan()
        if not plan.actions:
            return doing
        doing.apply(plan.actions)
    raise AssertionError(f"it never comes to rest: {doing.scene.plan().actions}")


def _shape(doing: Doing) -> object:
    """What is there in the end, but for the moments in which it was done."""
    snapshot = doing.scene.snapshot
    trials = [
        (
            t.number,
            t.role,
            t.attempt,
            t.retries,
            t.disruptions,
            t.recorded_state,
            t.result and (t.result.state, t.result.reason),
        )
        for t in snapshot.trials
    ]
    runs = sorted((run.trial, run.attempt, run.state) for run in snapshot.runs)
    assert all(t.created_at >= T0 for t in snapshot.trials)
    return trials, runs
