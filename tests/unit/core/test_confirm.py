"""Further runs of the best trials: which, when, and what they change."""

from dataclasses import replace

from tests.unit.core.builders import (
    Described,
    Doing,
    Scene,
    a_report,
    a_study,
    a_suggestion,
    failed,
    recorded,
    succeeded,
)
from tests.unit.core.builders import pending as waiting_trial
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import CreateTrial, Result

CONFIRM = {"final": {"retrain": False, "evaluate": "None", "confirm": {"top": 2, "runs": 2}}, "limits__trials": 3}
BOTH = {"final": {"retrain": True, "confirm": {"top": 2, "runs": 2}}, "limits__trials": 3}
SEARCHED = (succeeded(0.80), succeeded(0.95), succeeded(0.90))


def further(parent: int, value: float | None, **changes: object) -> Described:
    """A further run that ended with this value, or failed."""
    result = Result(TrialState.SUCCEEDED, "Completed", values={"accuracy": value or 0.0}, step=10)
    if value is None:
        result = Result(TrialState.FAILED, "NonZeroExit")

    def describe(number: int) -> tuple[object, tuple[()]]:
        trial, runs = recorded(result, role=Role.CONFIRM, **changes)(number)
        return replace(trial, suggestion=replace(a_suggestion(parent), parent=parent)), runs  # type: ignore[return-value]

    return describe  # type: ignore[return-value]


def created(scene: Scene) -> list[tuple[int, Role, str]]:
    actions = scene.plan().actions
    return [(each.number, each.role, each.suggestion.reason) for each in actions if isinstance(each, CreateTrial)]


def test_each_of_the_top_gets_its_first_run_before_any_gets_its_second() -> None:
    scene = a_study(limits__parallel=3, **CONFIRM).with_trials(*SEARCHED)
    assert created(scene) == [
        (3, Role.CONFIRM, "run 1 of 2 of trial 1"),
        (4, Role.CONFIRM, "run 1 of 2 of trial 2"),
        (5, Role.CONFIRM, "run 2 of 2 of trial 1"),
    ]


def test_they_go_on_as_slots_free_and_only_once_each() -> None:
    scene = a_study(**CONFIRM).with_trials(*SEARCHED, further(1, 0.9), further(2, 0.9), further(1, 0.9))
    assert created(scene) == [(6, Role.CONFIRM, "run 2 of 2 of trial 2")]


def test_the_best_is_the_one_whose_further_runs_are_better_on_average() -> None:
    runs = (further(1, 0.80), further(2, 0.90), further(1, 0.84), further(2, 0.88))
    plan = a_study(**CONFIRM).with_trials(*SEARCHED, *runs).plan()
    assert plan.finished
    assert plan.status["best"]["number"] == 2  # type: ignore[index]
    lucky, better = plan.status["confirmed"]  # type: ignore[misc]
    assert (lucky["number"], lucky["runs"], round(lucky["values"]["accuracy"], 9)) == (1, 2, 0.82)
    assert (better["number"], round(better["errors"]["accuracy"], 9)) == (2, 0.01)


def test_runs_that_fail_do_not_count_and_hold_nothing_up() -> None:
    runs = (further(1, None), further(2, None), further(1, None), further(2, 0.7))
    plan = a_study(**CONFIRM).with_trials(*SEARCHED, *runs).plan()
    assert plan.finished
    assert plan.status["best"]["number"] == 2  # type: ignore[index]


def test_without_a_single_good_run_the_search_has_the_last_word() -> None:
    runs = (further(1, None), further(2, None), further(1, None), further(2, None))
    plan = a_study(**CONFIRM).with_trials(*SEARCHED, *runs).plan()
    assert plan.finished
    assert (plan.status["state"], plan.status["best"]["number"]) == ("Succeeded", 1)  # type: ignore[index]


def test_the_final_run_comes_after_them_with_the_confirmed_best() -> None:
    runs = (further(1, 0.80), further(2, 0.90), further(1, 0.84), further(2, 0.88))
    open_run = a_study(**BOTH).with_trials(*SEARCHED, *runs[:3], waiting_trial(role=Role.CONFIRM))
    assert not [each for each in created(open_run) if each[1] is Role.FINAL]
    assert created(a_study(**BOTH).with_trials(*SEARCHED, *runs)) == [(7, Role.FINAL, "best of 3: trial 2")]


def test_a_greater_limit_does_not_reopen_the_search() -> None:
    scene = a_study(**(CONFIRM | {"limits__trials": 9})).with_trials(*SEARCHED, further(1, 0.9))
    assert all(role is Role.CONFIRM for _, role, _ in created(scene))


def test_nothing_is_confirmed_without_a_best() -> None:
    plan = a_study(**CONFIRM).with_trials(failed(), failed(), failed()).plan()
    assert plan.finished
    assert plan.status["state"] == "Failed"


def test_they_count_neither_as_trials_nor_as_failures_of_the_search() -> None:
    runs = (further(1, None), further(2, None), further(1, None), further(2, None))
    plan = a_study(**(CONFIRM | {"limits__failures": 0})).with_trials(*SEARCHED, *runs).plan()
    assert plan.status["counts"]["total"] == 3  # type: ignore[index]
    assert plan.status["state"] == "Succeeded"


def test_the_whole_way_in_a_world() -> None:
    doing = Doing(a_study(limits__parallel=2, **BOTH).with_trials(*SEARCHED))
    for _ in range(3):
        doing.apply(doing.scene.plan().actions)
    assert [trial.role for trial in doing.scene.snapshot.trials[3:]] == [Role.CONFIRM, Role.CONFIRM]
    assert a_report().done
