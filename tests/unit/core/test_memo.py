"""With what was kept of earlier decisions a decision is the same as without, and asks less."""

import random
from dataclasses import replace

import pytest

from tests.bench.decide import a_long_search_by_rungs, a_long_study, changed
from tests.unit.core.builders import Scene, a_spec, a_study, failed, recorded, running, succeeded
from tuning_operator.api.trial import TrialState
from tuning_operator.core.decide import decide
from tuning_operator.core.history import told
from tuning_operator.core.kept import Blocks, Kept
from tuning_operator.core.memo import Memo
from tuning_operator.core.model import Result, Trial

SCENES = {
    "one objective": a_long_study(400),
    "three objectives": a_long_study(400, objectives=3),
    "ASHA": a_long_search_by_rungs(400, name="ASHA"),
    "ASHA by two objectives": a_long_search_by_rungs(400, name="ASHA", objectives=2),
    "Hyperband": a_long_search_by_rungs(400, name="Hyperband"),
    "successive halving": a_long_search_by_rungs(400, name="SuccessiveHalving"),
}


@pytest.mark.parametrize("scene", SCENES.values(), ids=SCENES)
def test_a_kept_memo_changes_no_decision(scene: Scene) -> None:
    rng, memo = random.Random(3), Memo()
    for _ in range(12):
        assert decide(scene.snapshot, scene.now, memo=memo) == scene.plan()
        assert told(scene.snapshot, memo=memo) == told(scene.snapshot)
        scene = changed(changed(scene, rng), rng)
        if rng.random() < 0.3:
            scene = replace(scene, snapshot=replace(scene.snapshot, trials=scene.snapshot.trials[:-20]))


def test_a_result_that_is_recorded_late_is_folded_where_it_ended() -> None:
    """It ended before all that were folded already, and was the best at its time: patience counts from there."""
    memo = Memo()
    changes = {"limits__trials": 500, "limits__patience": 150, "limits__failures": 500}
    early = [running(), *(succeeded(0.5, ended=10.0 + number) for number in range(149))]
    scene = a_study(**changes).with_trials(*early).at(300)
    assert decide(scene.snapshot, scene.now, memo=memo) == scene.plan()
    late = [succeeded(0.9, ended=9.0), *early[1:], failed(ended=200.0), succeeded(0.4, ended=201.0)]
    scene = a_study(**changes).with_trials(*late).at(300)
    plan = decide(scene.snapshot, scene.now, memo=memo)
    assert plan == scene.plan()
    assert plan.status["best"]["number"] == 0  # type: ignore[index]


def test_another_spec_is_another_study() -> None:
    """The same trials, but what was a loss is a gain."""
    memo = Memo()
    results = [Result(TrialState.SUCCEEDED, "Completed", values={"accuracy": value}) for value in (0.1, 0.9, 0.5)]
    scene = a_study().with_trials(*(recorded(result) for result in results))
    assert decide(scene.snapshot, scene.now, memo=memo).status["best"]["number"] == 1  # type: ignore[index]
    goal = [{"metric": "accuracy", "goal": "Minimize"}]
    edited = replace(scene.snapshot, study=replace(scene.snapshot.study, spec=a_spec(objectives=goal)))
    assert decide(edited, scene.now, memo=memo).status["best"]["number"] == 0  # type: ignore[index]


def test_only_what_changed_is_asked_for_again() -> None:
    trials = a_long_study(1_000).snapshot.trials
    asked: list[int] = []

    def number(trial: Trial) -> int:
        asked.append(trial.number)
        return trial.number

    kept: Kept[int] = Kept()
    assert kept.of(trials, number) == kept.of(trials, number) == list(range(1_000))
    assert len(asked) == 1_000
    other = (*trials[:500], replace(trials[500]), *trials[501:])
    assert kept.of(other, number) == list(range(1_000))
    assert asked[1_000:] == [500]

    blocks: Blocks[int] = Blocks()
    sizes: list[int] = []

    def size(block: object) -> int:
        sizes.append(len(block))  # type: ignore[arg-type]
        return sizes[-1]

    assert sum(blocks.of(trials, size)) == 1_000
    before = len(sizes)
    assert sum(blocks.of(other, size)) == 1_000
    assert len(sizes) == before + 1
    assert sum(blocks.of(other[:130], size)) == 130
