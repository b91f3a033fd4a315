"""When to look at a trial again: soon after a rung, and hardly ever otherwise."""

from __future__ import annotations

import pytest

from tuning_operator.cluster.pace import SHORTEST, Pace


def late(epoch_seconds: float, rungs: list[int], *, interval: float, until: float) -> tuple[list[float], int]:
    """How long after each rung a trial is scraped that begins at 0 and takes so long for a step; and how often."""
    pace, count, lateness, awaited = Pace(interval, 0.0), 0, [], list(rungs)
    now = pace.first
    while now < until:
        step = int(now / epoch_seconds)
        pace.saw(step, now)
        count += 1
        while awaited and awaited[0] <= step:
            lateness.append(now - awaited.pop(0) * epoch_seconds)
        now += pace.wait(now, awaited)
    return lateness, count


@pytest.mark.parametrize("epoch", [0.7, 4.0, 11.0, 60.0, 600.0])
def test_a_rung_is_seen_soon_after_it_is_reached(epoch: float) -> None:
    lateness, count = late(epoch, [1, 3, 9], interval=10.0, until=epoch * 27)

    assert len(lateness) == 3
    assert max(lateness) <= 10.0
    assert max(lateness[1:]) <= max(0.75, epoch / 6)
    assert count <= epoch * 27 / 10 + 40


def test_without_a_rung_ahead_the_interval_is_kept() -> None:
    pace = Pace(10.0, 0.0)
    pace.saw(5, 100.0)
    assert pace.wait(100.0, []) == 10.0
    assert pace.wait(100.0, [3, 5]) == 10.0


def test_never_sooner_than_the_shortest_time_nor_later_than_the_interval() -> None:
    pace = Pace(10.0, 0.0)
    for second in range(20):
        pace.saw(second * 100, float(second))
    assert pace.wait(19.0, [1901]) == SHORTEST
    assert pace.wait(19.0, [10_000]) == 10.0


def test_a_trial_that_stands_still_is_asked_ever_more_rarely() -> None:
    pace, now, waits = Pace(8.0, 0.0), 2.0, []
    while now < 100:
        pace.saw(None, now)
        waits.append(pace.wait(now, [1]))
        now += waits[-1]
    assert waits[0] == SHORTEST
    assert waits == sorted(waits)
    assert waits[-1] == 8.0
    assert len(waits) < 25


def test_steps_that_go_back_are_no_progress() -> None:
    pace = Pace(10.0, 0.0)
    for step, at in ((4, 4.0), (8, 8.0), (3, 8.5)):
        pace.saw(step, at)
    assert pace.wait(8.5, [16]) == pytest.approx((4.0 + 8 * 1.0 - 8.5) / 2)
