"""Schedulers, against the tables and examples of their papers."""

from __future__ import annotations

import math
import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.core.builders import a_spec
from tests.unit.search.schedulers_world import World
from tuning_operator.search import schedulers as scheduler_module
from tuning_operator.search.pareto import dominates, fronts
from tuning_operator.search.schedulers import Scheduler, scheduler_for
from tuning_operator.search.schedulers.ladder import brackets, ladder, turn
from tuning_operator.search.schedulers.median import LOOKS_MAX, steps
from tuning_operator.search.schedulers.order import ranked
from tuning_operator.search.schedulers.table import Row, State, Verdict


def a_scheduler(
    name: str, *, least: int = 1, full: int = 9, eta: int = 3, trials: int = 10_000, **own: Any
) -> Scheduler:
    found = scheduler_for(
        a_spec(
            fidelity={"min": 1, "max": full, "reduction": eta},
            scheduler={"name": name} | own,
            limits__trials=trials,
        )
    )
    assert found is not None
    return found


# Rungs and brackets, by whole numbers.


def test_the_brackets_are_those_of_the_papers_table() -> None:
    table = {s: [(b.trials // 3**i, budget) for i, budget in enumerate(b.budgets)] for s, b in _by_s(81)}
    assert table == {
        4: [(81, 1), (27, 3), (9, 9), (3, 27), (1, 81)],
        3: [(34, 3), (11, 9), (3, 27), (1, 81)],
        2: [(15, 9), (5, 27), (1, 81)],
        1: [(8, 27), (2, 81)],
        0: [(5, 81)],
    }


def _by_s(full: int) -> list[tuple[int, Any]]:
    found = brackets(1, full, 3)
    return list(zip(range(len(found) - 1, -1, -1), found, strict=True))


@pytest.mark.parametrize(("full", "sizes"), [(27, [27, 12, 6, 4]), (9, [9, 5, 3])])
def test_smaller_tables_follow_the_papers_formula(full: int, sizes: list[int]) -> None:
    assert [bracket.trials for bracket in brackets(1, full, 3)] == sizes


def test_rungs_are_exact_for_every_reduction_and_budget() -> None:
    for eta in range(2, 8):
        for least in (1, 2, 5):
            for full in range(least, 700):
                rungs = ladder(least, full, eta)
                top = len(rungs) - 1
                assert least * eta**top <= full < least * eta ** (top + 1)
                assert rungs[:-1] == tuple(least * eta**k for k in range(top))
                assert rungs[-1] == full
    assert len(brackets(1, 243, 3)) == 6  # floating logarithms make it 5
    assert len(brackets(1, 1000, 10)) == 4


def test_the_first_bracket_costs_297_resumed_against_405_restarted() -> None:
    first = brackets(1, 81, 3)[0]
    counts = [first.trials // 3**k for k in range(5)]
    assert sum(n * budget for n, budget in zip(counts, first.budgets, strict=True)) == 405
    scheduler = a_scheduler("SuccessiveHalving", full=81, trials=81)
    assert World(scheduler, lambda number, rung: number, trials=81).run().spent == 297


# ASHA.


def test_asha_gives_the_jobs_of_the_papers_procedure() -> None:
    losses = [0.5, 0.3, 0.4, 0.9, 0.2, 0.8, 0.7, 0.1, 0.6]
    world = World(a_scheduler("ASHA", asha={"mode": "Pause"}), lambda n, rung: losses[n], trials=9).run()
    told = [f"{number + 1}@{rung}" for number, rung in world.jobs]
    assert " ".join(told) == "1@0 2@0 3@0 2@1 4@0 5@0 5@1 6@0 7@0 8@0 8@1 8@2 9@0"


def test_losses_that_get_better_and_better_cost_asha_21_jobs() -> None:
    world = World(a_scheduler("ASHA", asha={"mode": "Pause"}), lambda n, rung: 9 - n, trials=9).run()
    assert len(world.jobs) == 21


def test_the_hybrid_lets_the_best_so_far_run_on_and_promotes_the_others_later() -> None:
    losses = [0.5, 0.6, 0.4, 0.7, 0.3, 0.45]
    world = World(a_scheduler("ASHA"), lambda n, rung: losses[n], trials=6).run()
    assert world.jobs[:3] == [(0, 0), (0, 1), (0, 2)]
    assert (2, 2) in world.jobs
    assert world.rows[1].state is State.PAUSED
    assert world.rows[1].losses == ((0.6,),)


def test_stopped_is_stopped_for_good() -> None:
    rng = random.Random(3)
    world = World(a_scheduler("ASHA", asha={"mode": "Stop"}), lambda n, rung: rng.random(), trials=30).run(4)
    assert all(row.state is State.ENDED for row in world.table)
    reached = Counter(rung for _, rung in world.jobs)
    assert reached[0] == 30
    assert 5 <= reached[1] <= 20


# The synchronous ones.


@pytest.mark.parametrize("workers", [1, 4, 100])
def test_hyperband_runs_the_papers_table(workers: int) -> None:
    rng = random.Random(1)
    scheduler = a_scheduler("Hyperband", full=81, trials=143, hyperband={"mode": "Synchronous"})
    world = World(scheduler, lambda n, rung: rng.random(), trials=143).run(workers)
    counted = Counter((scheduler.bracket(n), scheduler.rungs(n)[rung]) for n, rung in world.jobs)
    assert counted == {
        (0, 1): 81, (0, 3): 27, (0, 9): 9, (0, 27): 3, (0, 81): 1,
        (1, 3): 34, (1, 9): 11, (1, 27): 3, (1, 81): 1,
        (2, 9): 15, (2, 27): 5, (2, 81): 1,
        (3, 27): 8, (3, 81): 2,
        (4, 81): 5,
    }  # fmt: skip


def test_of_each_rung_exactly_the_best_go_on() -> None:
    values = random.Random(5).sample(range(1000), 27)
    scheduler = a_scheduler("SuccessiveHalving", full=27, trials=27)
    world = World(scheduler, lambda n, rung: values[n], trials=27).run(5)
    best = sorted(range(27), key=lambda n: values[n])
    for rung, count in enumerate((27, 9, 3, 1)):
        assert sorted(n for n, at in world.jobs if at == rung) == sorted(best[:count])


def test_nobody_goes_on_before_the_rung_is_complete() -> None:
    scheduler = a_scheduler("SuccessiveHalving", full=9, trials=9)
    rows = [Row(n, ((float(n),),), (False,), State.PAUSED) for n in range(8)]
    assert scheduler.promotable([*rows, Row(8)]) == []
    assert scheduler.promotable([*rows, Row(8, state=State.ENDED)]) == [0, 1, 2]
    assert scheduler.hopeless([*rows, Row(8, state=State.ENDED)], complete=False) == [3, 4, 5, 6, 7]


def test_a_bracket_that_the_limit_cuts_short_still_ends_at_the_full_budget() -> None:
    scheduler = a_scheduler("SuccessiveHalving", full=27, trials=5)
    world = World(scheduler, lambda n, rung: n, trials=5).run(2)
    assert (0, 3) in world.jobs
    assert not scheduler.promotable(world.table)


def test_who_failed_at_a_rung_counts_as_the_worst() -> None:
    scheduler = a_scheduler("SuccessiveHalving", full=9, trials=9)
    rows = [Row(n, ((float(n),),), (False,), State.PAUSED) for n in range(9)]
    rows[0] = Row(0, ((0.0,),), (False,), State.ENDED)  # its value was good, but it cannot go on
    rows[1] = Row(1, ((math.inf,),), (False,), State.PAUSED)
    rows[2] = Row(2, state=State.ENDED)
    assert scheduler.promotable(rows) == [3, 4, 5]
    assert 1 in scheduler.hopeless(rows, complete=False)


def test_a_bracket_that_gets_no_more_trials_is_as_large_as_it_is() -> None:
    scheduler = a_scheduler("SuccessiveHalving", full=9, trials=100)
    rows = [Row(n, ((float(n),),), (False,), State.PAUSED) for n in range(6)]
    assert scheduler.promotable(rows, complete=False) == []
    assert scheduler.promotable(rows, complete=True) == [0, 1]
    assert scheduler.hopeless(rows, complete=True) == [2, 3, 4, 5]


def test_a_raised_limit_takes_nothing_back() -> None:
    before = [Row(n, ((float(5 - n),),), (False,), State.PAUSED) for n in range(5)]
    before[4] = Row(4, ((1.0,), (1.0,)), (True, False), State.PAUSED)
    later = [*before, *(Row(n, ((0.5,),), (False,), State.PAUSED) for n in range(5, 9))]
    scheduler = a_scheduler("SuccessiveHalving", full=9, trials=9)
    assert scheduler.promotable(later) == [5, 6]  # two of three places are left
    assert 4 not in scheduler.hopeless(later, complete=True)


# Asynchronous Hyperband.


def test_each_bracket_gets_the_papers_share_of_trials() -> None:
    scheduler = a_scheduler("Hyperband", full=81)
    shares = Counter(scheduler.bracket(number) for number in range(143))
    assert shares == {0: 81, 1: 34, 2: 15, 3: 8, 4: 5}
    early = Counter(scheduler.bracket(number) for number in range(20))
    assert early[0] in (11, 12)
    assert scheduler.bracket(0) == 0
    assert scheduler.rungs(next(n for n in range(143) if scheduler.bracket(n) == 2)) == (9, 27, 81)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(0, 3))
def test_turns_are_dealt_exactly_and_evenly(shares: list[int], rounds: int) -> None:
    total = sum(shares)
    dealt = [turn(rounds * total + place, shares) for place in range(total)]
    assert Counter(dealt) == dict(enumerate(shares))
    for stretch in range(1, total + 1):
        had = dealt[:stretch].count(0)
        assert had == -(-stretch * shares[0] // total)


def test_brackets_of_any_size_are_found_at_once() -> None:
    scheduler = a_scheduler("Hyperband", full=2**31, eta=2)
    shares = Counter(scheduler.bracket(number) for number in range(2000))
    expected = [bracket.trials for bracket in brackets(1, 2**31, 2)]
    assert len(expected) == 32
    for index in range(5):
        assert abs(shares[index] / 2000 - expected[index] / sum(expected)) < 0.01


def test_brackets_are_compared_among_themselves() -> None:
    scheduler = a_scheduler("Hyperband", full=9)
    world = World(scheduler, lambda n, rung: 0.0 if scheduler.bracket(n) == 0 else 1.0, trials=34).run(3)
    assert {scheduler.bracket(n) for n, rung in world.jobs if scheduler.rungs(n)[rung] == 9} == {0, 1, 2}


# The median rule.


def test_the_median_rule_stops_what_is_worse_than_the_median_of_the_averages() -> None:
    scheduler = a_scheduler("Median", full=4, median={"interval": 1, "startup_trials": 3})
    others = [Row(n, tuple((value,) for value in curve)) for n, curve in enumerate([(5, 3), (4, 4), (9, 9)])]
    # Averages over two steps: 4, 4, 9; their median is 4.
    for curve, verdict in {(8, 4.1): Verdict.STOP, (8, 4.0): Verdict.GO_ON, (3.9, 8): Verdict.GO_ON}.items():
        mine = Row(3, tuple((value,) for value in curve))
        assert scheduler.judge([*others, mine], 3) is verdict, curve


def test_the_median_rule_waits_for_company() -> None:
    scheduler = a_scheduler("Median", full=4, median={"interval": 1, "startup_trials": 3})
    rows = [Row(n, ((1.0,),)) for n in range(2)]
    assert scheduler.judge([*rows, Row(2, ((99.0,),))], 2) is Verdict.GO_ON


def test_of_several_objectives_a_trial_must_be_worse_in_each_to_be_stopped() -> None:
    scheduler = a_scheduler("Median", full=4, median={"interval": 1, "startup_trials": 3})
    others = [Row(n, ((float(n), float(-n)),)) for n in range(3)]  # medians 1 and -1
    for loss, verdict in {(2.0, 0.0): Verdict.STOP, (2.0, -1.0): Verdict.GO_ON, (1.0, 9.0): Verdict.GO_ON}.items():
        assert scheduler.judge([*others, Row(3, (loss,))], 3) is verdict, loss


@pytest.mark.parametrize("full", [1, 2, 20, 64, 65, 1000, 10**9])
def test_looks_are_bounded(full: int) -> None:
    looks = steps(1, full, 1)
    assert len(looks) <= LOOKS_MAX
    assert looks[-1] == full
    assert list(looks) == sorted(set(looks))


# All of them.

EVERY: dict[str, dict[str, Any]] = {
    "ASHA hybrid": {"name": "ASHA"},
    "ASHA pause": {"name": "ASHA", "asha": {"mode": "Pause"}},
    "ASHA stop": {"name": "ASHA", "asha": {"mode": "Stop"}},
    "successive halving": {"name": "SuccessiveHalving"},
    "Hyperband": {"name": "Hyperband"},
    "Hyperband synchronous": {"name": "Hyperband", "hyperband": {"mode": "Synchronous"}},
    "median": {"name": "Median"},
}


@pytest.mark.parametrize("case", EVERY)
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_happens_it_ends(case: str, data: st.DataObject) -> None:
    trials = data.draw(st.integers(1, 40))
    full = data.draw(st.sampled_from([1, 2, 9, 10, 27]))
    if full == 1:
        full = 2
    kinds = st.sampled_from([0.1, 0.2, 0.2, 0.5, 0.9, math.inf, math.nan])
    values = data.draw(st.lists(kinds, min_size=trials, max_size=trials))
    scheduler = a_scheduler(full=full, eta=data.draw(st.sampled_from([2, 3, 4])), trials=trials, **EVERY[case])
    world = World(scheduler, lambda n, rung: values[n], trials=trials).run(data.draw(st.sampled_from([1, 3, 32])))
    assert len(world.rows) == trials
    assert not any(row.state is State.RUNNING for row in world.table)
    assert not scheduler.promotable(world.table)
    for row in world.table:
        assert all(row.promoted[: len(row.losses) - 1]), "it went on without being allowed to"
        assert not any(flag and math.isinf(loss[0]) for loss, flag in zip(row.losses, row.promoted, strict=True))
    hopeless = scheduler.hopeless(world.table, complete=True)
    assert all(world.rows[number].state is State.PAUSED for number in hopeless)


@pytest.mark.parametrize("case", EVERY)
def test_verdicts_are_found_again_from_the_table_alone(case: str) -> None:
    """Asked anew by another scheduler object, about rows in which only what is recorded stands."""
    rng = random.Random(2)
    values = [[rng.random() for _ in range(4)] for _ in range(60)]
    scheduler = a_scheduler(full=27, trials=60, **EVERY[case])
    world = World(scheduler, lambda n, rung: values[n][rung % 4], trials=60).run(5)
    scheduler_module._scheduler.cache_clear()
    other = a_scheduler(full=27, trials=60, **EVERY[case])
    assert other is not scheduler
    again = World(other, lambda n, rung: values[n][rung % 4], trials=60).run(5)
    assert again.jobs == world.jobs
    assert again.table == world.table


@pytest.mark.parametrize("case", [case for case in EVERY if case != "median"])
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_search_ends_with_a_trial_that_had_the_full_budget(case: str, data: st.DataObject) -> None:
    trials = data.draw(st.integers(1, 30))
    scheduler = a_scheduler(full=27, trials=trials, **EVERY[case])
    values = data.draw(st.permutations(range(trials)))
    world = World(scheduler, lambda n, rung: float(values[n]), trials=trials).run(
        data.draw(st.sampled_from([1, 3, 32]))
    )
    assert any(len(row.losses) == len(scheduler.rungs(row.number)) for row in world.table)
    waiting = [row.number for row in world.table if row.state is State.PAUSED]
    assert scheduler.hopeless(world.table, complete=True) == waiting


@pytest.mark.parametrize("case", ["ASHA hybrid", "ASHA pause", "Hyperband"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_who_is_given_up_would_not_have_gone_on(case: str, data: st.DataObject) -> None:
    """Played on to the end, nobody said to be hopeless on the way is promoted."""
    trials = data.draw(st.integers(3, 40))
    values = data.draw(st.lists(st.sampled_from([0.1, 0.3, 0.3, 0.6, math.inf]), min_size=trials, max_size=trials))
    scheduler = a_scheduler(full=9, trials=trials, **EVERY[case])
    given_up: set[int] = set()

    def loss(number: int, rung: int) -> float:
        if len(world.rows) == trials:
            given_up.update(scheduler.hopeless(world.table, complete=True))
        return values[number]

    world = World(scheduler, loss, trials=trials)
    world.run(data.draw(st.sampled_from([1, 2, 8])))
    assert not any(any(world.rows[number].promoted[-1:]) for number in given_up)


@pytest.mark.parametrize("case", ["ASHA hybrid", "ASHA pause", "Hyperband"])
def test_the_share_that_goes_on_is_what_the_reduction_says(case: str) -> None:
    rng = random.Random(11)
    scheduler = a_scheduler(full=27, trials=300, **EVERY[case])
    world = World(scheduler, lambda n, rung: rng.random(), trials=300).run(8)
    for bracket in {scheduler.bracket(n) for n in range(300)}:
        rows = [row for row in world.table if scheduler.bracket(row.number) == bracket]
        for rung in range(len(scheduler.rungs(rows[0].number)) - 1):
            reached = sum(len(row.losses) > rung for row in rows)
            promoted = sum(row.promoted[rung] for row in rows if len(row.losses) > rung)
            # Early ones went on as the best of few and may have been overtaken.
            assert reached // 3 <= promoted <= reached // 3 + 12, (bracket, rung)


def test_a_paused_trial_is_given_up_only_when_nothing_can_save_it() -> None:
    scheduler = a_scheduler("ASHA", asha={"mode": "Pause"})
    rows = [Row(n, ((float(n),),), (False,), State.PAUSED) for n in range(4)]
    assert scheduler.hopeless(rows, complete=False) == []
    assert scheduler.hopeless([*rows, Row(4), Row(5)], complete=True) == [2, 3]


@given(st.lists(st.lists(st.integers(0, 4), min_size=2, max_size=2), max_size=30))
def test_fronts_of_two_objectives_are_those_of_the_definition(losses: list[list[int]]) -> None:
    left = list(range(len(losses)))
    expected = []
    while left:
        front = [i for i in left if not any(dominates(losses[j], losses[i]) for j in left)]
        expected.append(front)
        left = [i for i in left if i not in front]
    assert fronts(losses) == expected


def test_with_several_objectives_the_front_goes_first() -> None:
    rows = [Row(0, ((1.0, 5.0),)), Row(1, ((2.0, 6.0),)), Row(2, ((5.0, 1.0),)), Row(3, ((math.inf, 0.0),))]
    assert [row.number for row in ranked(rows, 0)] == [0, 2, 1]
