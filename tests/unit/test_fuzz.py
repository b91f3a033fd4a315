"""A few thousand damaged inputs; `python -m tests.fuzz` takes as many as one likes."""

import pytest

from tests.fuzz.run import SUBJECTS, Tally, case, cases

CASES = {"studies": 600, "objects": 2000, "bodies": 6000}


@pytest.mark.parametrize("name", SUBJECTS)
def test_nothing_crashes_and_nothing_wrong_is_accepted(name: str) -> None:
    tally = Tally()
    cases(name, range(CASES[name]), tally)
    assert not tally.complaints, "\n".join(tally.complaints[:10])
    assert len(tally.outcomes) >= 2, "the cases are all alike"
    assert sorted(tally.outcomes.values())[-2] > CASES[name] / 20


def test_a_crash_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.bodies.METRICS", 7)
    assert any("crash" in word for seed in range(20) for word in case("bodies", seed))
