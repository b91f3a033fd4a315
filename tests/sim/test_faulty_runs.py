"""Random faulty runs: crashes before and after any write, lost answers, stale watches, disruptions, edits, deletions.

More runs: `TUNING_SIM_RUNS=10000 pytest tests/sim/test_faulty_runs.py`. One again, line by line:
`python -m tests.sim.simulate SEED`.
"""

import os
from dataclasses import replace

import pytest

from tests.sim.simulate import Outcome, simulate
from tuning_operator.api.status import StudyStatus
from tuning_operator.core.decide import decide
from tuning_operator.core.model import Snapshot

FIRST = int(os.environ.get("TUNING_SIM_FIRST", "0"))
RUNS = int(os.environ.get("TUNING_SIM_RUNS", "600"))
CHUNK = 50


FOUND = {
    332: "the search's last word on exhaustion was older than a lost trial",
    453: "the same, with another edit",
    10145: "a Job that was gone before it was seen came into being again, and its namesake's end was taken for its own",
}
"""Seeds that once broke something."""


@pytest.mark.parametrize("first", range(FIRST, FIRST + RUNS, CHUNK))
def test_every_promise_is_kept_whatever_goes_wrong(first: int) -> None:
    for seed in range(first, min(first + CHUNK, FIRST + RUNS)):
        assert_kept(seed)


@pytest.mark.parametrize("seed", FOUND)
def test_what_once_went_wrong_goes_well(seed: int) -> None:
    assert_kept(seed)


def assert_kept(seed: int) -> None:
    outcome = simulate(seed)
    complaints = [str(broken) for broken in outcome.broken] + _complaints_about_the_status(outcome)
    assert not complaints, f"python -m tests.sim.simulate {seed}\n" + "\n".join(complaints)


def test_the_same_seed_gives_the_same_run() -> None:
    for seed in (3, 17, 42):
        assert simulate(seed).facts == simulate(seed).facts


def test_the_runs_reach_what_they_are_for() -> None:
    """A simulation in which nothing happens proves nothing."""
    outcomes = [simulate(seed) for seed in range(200)]
    reasons = {trial.trial.result.reason for o in outcomes for trial in o.world.trials.values() if trial.trial.result}
    assert {"Succeeded", "Failed"} <= {outcome.state for outcome in outcomes}
    assert {"Completed", "OutOfMemory", "NonZeroExit", "TargetReached", "DeadlineExceeded"} <= reasons
    assert {"NotPromoted", "Unpromising"} <= reasons
    trials = [trial.trial for o in outcomes for trial in o.world.trials.values()]
    assert any(trial.rungs and trial.rungs[-1].budget > 1 and trial.attempt > 0 for trial in trials), "promoted ones"
    assert sum(outcome.crashes for outcome in outcomes) > 100
    assert any(trial.trial.disruptions > 1 for o in outcomes for trial in o.world.trials.values())


def _complaints_about_the_status(outcome: Outcome) -> list[str]:
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
    complaints = []
    if known.actions or not known.finished:
        complaints.append(f"after the end there is still something to do: {known.actions}")
    if known.status != world.status:
        complaints.append(f"the status would be written again: {world.status} -> {known.status}")
    if _timeless(anew.status) != _timeless(world.status):
        complaints.append(f"deleted, the status would not come back the same: {world.status} -> {anew.status}")
    return complaints


def _timeless(status: object) -> object:
    if isinstance(status, dict):
        return {key: _timeless(value) for key, value in status.items() if key != "lastTransitionTime"}
    if isinstance(status, list):
        return [_timeless(each) for each in status]
    return status
