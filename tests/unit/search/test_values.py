import math
import random

import pytest

from tuning_operator.api.study import Goal, Objective
from tuning_operator.search.values import Candidate, best, better, front, reached, summarize

ACCURACY = Objective(metric="accuracy", goal=Goal.MAXIMIZE, target=0.9)
LOSS = Objective(metric="loss", goal=Goal.MINIMIZE)
NAN, INF = math.nan, math.inf


def objective(summarized: str, *, goal: str = "Maximize", window: int | None = None) -> Objective:
    return Objective.model_validate({"metric": "m", "goal": goal, "summarize": summarized, "window": window})


@pytest.mark.parametrize(
    ("given", "reported", "value"),
    [
        pytest.param(objective("Last"), [1.0, 3.0, 2.0], 2.0, id="the last one"),
        pytest.param(objective("Best"), [1.0, 3.0, 2.0], 3.0, id="the largest"),
        pytest.param(objective("Best", goal="Minimize"), [2.0, 1.0, 3.0], 1.0, id="the smallest"),
        pytest.param(objective("Best"), [1.0, NAN, INF], 1.0, id="broken ones are never best"),
        pytest.param(objective("Mean", window=2), [9.0, 1.0, 2.0], 1.5, id="the mean of the window"),
        pytest.param(objective("Mean", window=5), [1.0, 2.0], 1.5, id="a window that is not full"),
        pytest.param(objective("Mean"), [1.0, 2.0, 6.0], 3.0, id="the mean of all"),
        pytest.param(objective("Last"), [], None, id="missing is not zero"),
    ],
)
def test_summarize(given: Objective, reported: list[float], value: float | None) -> None:
    assert summarize(given, reported) == value


@pytest.mark.parametrize(
    ("given", "reported"),
    [
        pytest.param(objective("Last"), [1.0, NAN], id="last"),
        pytest.param(objective("Best"), [NAN, NAN], id="best of none"),
        pytest.param(objective("Mean", window=2), [1.0, NAN, 2.0], id="mean over one"),
    ],
)
def test_what_is_no_number_stays_none(given: Objective, reported: list[float]) -> None:
    value = summarize(given, reported)
    assert value is not None
    assert math.isnan(value)


@pytest.mark.parametrize(
    ("goal", "value", "than", "is_better"),
    [
        (Goal.MAXIMIZE, 2.0, 1.0, True),
        (Goal.MAXIMIZE, 1.0, 1.0, False),
        (Goal.MINIMIZE, 1.0, 2.0, True),
        (Goal.MINIMIZE, NAN, 2.0, False),
        (Goal.MINIMIZE, 2.0, NAN, True),
        (Goal.MAXIMIZE, NAN, NAN, False),
    ],
)
def test_better(goal: Goal, value: float, than: float, is_better: bool) -> None:
    assert better(goal, value, than) is is_better


@pytest.mark.parametrize(
    ("value", "met"), [(0.9, True), (0.91, True), (0.89, False), (NAN, False), (None, False), (INF, True)]
)
def test_reached(value: float | None, met: bool) -> None:
    assert reached(ACCURACY, value) is met
    assert reached(LOSS, value) is False


@pytest.mark.parametrize(
    ("objectives", "candidates", "number"),
    [
        pytest.param([ACCURACY], [(0, [0.5]), (1, [0.7])], 1, id="the largest"),
        pytest.param([LOSS], [(0, [0.5]), (1, [0.7])], 0, id="the smallest"),
        pytest.param([ACCURACY], [(5, [0.7]), (2, [0.7]), (9, [0.7])], 2, id="a tie goes to the lower number"),
        pytest.param([ACCURACY], [(0, [NAN]), (1, [INF]), (2, [None]), (3, [0.1])], 3, id="broken ones take no part"),
        pytest.param([ACCURACY], [(0, [NAN]), (1, [None])], None, id="nobody"),
        pytest.param(
            [ACCURACY, LOSS], [(0, [0.7, 3.0]), (1, [0.7, 2.0]), (2, [0.6, 1.0])], 1, id="then the next objective"
        ),
        pytest.param([ACCURACY, LOSS], [(0, [0.9]), (1, [0.7, 2.0])], 1, id="all objectives or none"),
    ],
)
def test_best(
    objectives: list[Objective], candidates: list[tuple[int, list[float | None]]], number: int | None
) -> None:
    assert best(objectives, [Candidate(number, values) for number, values in candidates]) == number


def test_infeasible_trials_are_never_best() -> None:
    candidates = [Candidate(0, [0.9], feasible=False), Candidate(1, [0.1])]
    assert best([ACCURACY], candidates) == 1
    assert front(
        [
            ACCURACY,
        ],
        candidates,
        limit=9,
    ) == (1,)


def test_front_equals_its_definition() -> None:
    rng = random.Random(2)
    objectives = [ACCURACY, LOSS]
    candidates = [Candidate(n, [rng.randrange(12) / 11, rng.randrange(12) / 11]) for n in range(80)]
    candidates += [Candidate(99, [NAN, 0.0]), Candidate(98, [None, 0.0]), Candidate(97, [2.0, -1.0], feasible=False)]

    def dominates(a: Candidate, b: Candidate) -> bool:
        (a0, a1), (b0, b1) = a.values, b.values
        assert a0 is not None and a1 is not None and b0 is not None and b1 is not None
        return a0 >= b0 and a1 <= b1 and (a0 > b0 or a1 < b1 or a.number < b.number)

    sound = candidates[:80]
    definition = {c.number for c in sound if not any(dominates(other, c) for other in sound if other is not c)}
    found = front(objectives, candidates, limit=100)
    assert set(found) == definition
    assert [candidates[n].values[0] for n in found] == sorted(
        (candidates[n].values[0] or 0.0 for n in found), reverse=True
    )
    assert front(objectives, candidates, limit=2) == found[:2]
