"""Hit once at a named failpoint - killed, blind for a while, or asleep for a while - every study keeps its promises.

Here every twentieth failpoint of each study, in turn; `python -m tests.sim.long --failpoints` takes all of them.
"""

import pytest

from tests.sim.failpoints import Hit, How
from tests.sim.scenario import CALM_ONES
from tests.sim.simulate import Outcome, Simulation, complaints

EVERY = 20


def hits(name: str, how: How) -> list[Hit]:
    outcome = Simulation(CALM_ONES[name]).run()
    assert not complaints(outcome)
    assert outcome.state == "Succeeded"
    return outcome.failpoints.every(how)


def what_stays(outcome: Outcome) -> object:
    """Where neither order nor time decides: what became of each trial."""
    results = {number: stored.trial.result for number, stored in outcome.world.trials.items()}
    return {number: result and (result.state, result.reason, result.values) for number, result in results.items()}


@pytest.mark.parametrize("how", How)
@pytest.mark.parametrize("name", CALM_ONES)
def test_hit_anywhere_a_study_keeps_its_promises(name: str, how: How) -> None:
    every = hits(name, how)
    first = (list(How).index(how) + list(CALM_ONES).index(name)) % EVERY
    for hit in every[first::EVERY]:
        outcome = Simulation(CALM_ONES[name], hit).run()
        found = complaints(outcome)
        assert not found, f"python -m tests.sim.simulate '{name}' '{hit}'\n" + "\n".join(found)
        assert outcome.crashes == (how is How.CRASH)


@pytest.mark.parametrize("how", How)
def test_hit_anywhere_the_ledger_comes_out_the_same(how: How) -> None:
    """Random points by number, and trials that do what they do: nothing may depend on what befell the operator."""
    undisturbed = Simulation(CALM_ONES["plain"]).run()
    for hit in undisturbed.failpoints.every(how)[::8]:
        outcome = Simulation(CALM_ONES["plain"], hit).run()
        assert what_stays(outcome) == what_stays(undisturbed), f"python -m tests.sim.simulate plain '{hit}'"
        assert outcome.world.status["best"] == undisturbed.world.status["best"]


def test_every_kind_of_write_has_its_failpoints() -> None:
    passed = {place for name in CALM_ONES for place in Simulation(CALM_ONES[name]).run().failpoints.passed}
    writes = ("CreateTrial", "StartRun", "StopRun", "RecordAttempt", "RecordResult", "status")
    assert passed == {f"{when} {write}" for when in ("before", "after") for write in writes}


def test_a_hit_is_said_as_it_is_read() -> None:
    hit = Hit("after StartRun", 3, How.CRASH)
    assert str(hit) == "after StartRun#3:crash"
    assert Hit.parse(str(hit)) == hit
    with pytest.raises(ValueError, match="after StartRun#3:crash"):
        Hit.parse("StartRun")
