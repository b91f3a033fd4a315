"""Random faulty runs: crashes before and after any write, lost answers, stale watches, disruptions, edits, deletions.

More runs: `python -m tests.sim.long`. One again, line by line: `python -m tests.sim.simulate SEED`.
"""

import pytest

from tests.sim.simulate import complaints, simulate

RUNS = 250
CHUNK = 50


FOUND = {
    332: "the search's last word on exhaustion was older than a lost trial",
    453: "the same, with another edit",
    10145: "a Job that was gone before it was seen came into being again, and its namesake's end was taken for its own",
}
"""Seeds that once broke something."""


@pytest.mark.parametrize("first", range(0, RUNS, CHUNK))
def test_every_promise_is_kept_whatever_goes_wrong(first: int) -> None:
    for seed in range(first, first + CHUNK):
        assert_kept(seed)


@pytest.mark.parametrize("seed", FOUND)
def test_what_once_went_wrong_goes_well(seed: int) -> None:
    assert_kept(seed)


def assert_kept(seed: int) -> None:
    found = complaints(simulate(seed))
    assert not found, f"python -m tests.sim.simulate {seed}\n" + "\n".join(found)


def test_the_same_seed_gives_the_same_run() -> None:
    for seed in (3, 17, 42):
        assert simulate(seed).facts == simulate(seed).facts


def test_the_runs_reach_what_they_are_for() -> None:
    """A simulation in which nothing happens proves nothing."""
    outcomes = [simulate(seed) for seed in range(120)]
    reasons = {trial.trial.result.reason for o in outcomes for trial in o.world.trials.values() if trial.trial.result}
    assert {"Succeeded", "Failed"} <= {outcome.state for outcome in outcomes}
    assert {"Completed", "OutOfMemory", "NonZeroExit", "TargetReached", "DeadlineExceeded"} <= reasons
    assert {"NotPromoted", "Unpromising"} <= reasons
    trials = [trial.trial for o in outcomes for trial in o.world.trials.values()]
    assert any(trial.rungs and trial.rungs[-1].budget > 1 and trial.attempt > 0 for trial in trials), "promoted ones"
    assert sum(outcome.crashes for outcome in outcomes) > 100
    assert any(outcome.lingered for outcome in outcomes)
    assert any(trial.trial.disruptions > 1 for o in outcomes for trial in o.world.trials.values())
