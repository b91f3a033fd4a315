import asyncio
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.unit.search.spaces import MIXED, SMALL, SMALL_SIZE, a_problem, identity, loss
from tuning_operator.search import pending
from tuning_operator.search.lookahead import Inputs, LookAhead
from tuning_operator.search.suggest import Problem, suggest
from tuning_operator.search.types import Exhausted, Observation, Parameters, Suggestion, Waiting


@pytest.fixture
def ahead() -> Iterator[LookAhead]:
    made = LookAhead()
    yield made
    made.close()


def results(task: Problem, count: int) -> tuple[Observation, ...]:
    history: list[Observation] = []
    for number in range(count):
        result = suggest(task, history=history, running={}, number=number)
        assert isinstance(result, Suggestion)
        history.append(Observation(number, result.parameters, (loss(result.parameters),)))
    return tuple(history)


def one_by_one(
    task: Problem, history: Sequence[Observation], running: Mapping[int, Parameters], numbers: Sequence[int]
) -> dict[int, Suggestion]:
    """What the look-ahead must come to: every number knows those before it as running."""
    made: dict[int, Suggestion] = {}
    for number in numbers:
        known = {**{n: s.parameters for n, s in made.items()}, **running}
        result = suggest(task, history=history, running=known, number=number)
        if isinstance(result, Exhausted):
            break
        made[number] = result
    return made


def test_it_answers_what_suggest_answers(ahead: LookAhead) -> None:
    task = a_problem(MIXED)
    history = results(task, 12)
    running = {12: history[0].parameters}
    ahead.request("study", Inputs(task, history, running), [15, 13, 14])
    assert ahead.join(30)
    assert ahead.ready("study") == one_by_one(task, history, running, [13, 14, 15])


def test_a_stale_suggestion_stays_until_the_newer_one_is_there(ahead: LookAhead) -> None:
    task = a_problem(MIXED)
    history = results(task, 14)
    ahead.request("study", Inputs(task, history[:11], {}), [14, 15])
    assert ahead.join(30)
    ahead.request("study", Inputs(task, history, {}), [14, 15, 16])
    assert {number: s.known for number, s in ahead.ready("study").items()} == {14: 11, 15: 11}
    assert ahead.join(30)
    assert ahead.ready("study") == one_by_one(task, history, {}, [14, 15, 16])


def test_the_newest_request_replaces_those_before(ahead: LookAhead) -> None:
    task = a_problem(MIXED)
    history = results(task, 14)
    for known in range(10, 15):
        ahead.request("study", Inputs(task, history[:known], {}), [20, 21])
    ahead.request("study", Inputs(task, history, {}), [21])
    assert ahead.join(30)
    assert ahead.ready("study") == one_by_one(task, history, {}, [21])


def test_nothing_is_made_twice(ahead: LookAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        computed.append(kwargs["number"])
        return suggest(*args, **kwargs)

    monkeypatch.setattr(pending, "suggest", counted)
    task = a_problem(MIXED)
    history = results(task, 12)
    ahead.request("study", Inputs(task, history, {}), [12, 13, 14])
    assert ahead.join(30)
    ahead.request("study", Inputs(task, list(history), {}), [12, 13, 14])
    assert ahead.join(30)
    taken = dict(ahead.ready("study")[12].parameters)
    ahead.request("study", Inputs(task, history, {12: taken}), [13, 14, 15])
    assert ahead.join(30)
    assert computed == [12, 13, 14, 15], "a suggestion that became a trial changes nothing for those after it"
    assert ahead.ready("study") == one_by_one(task, history, {12: taken}, [13, 14, 15])


def test_two_trials_never_get_the_same_point_of_a_discrete_space() -> None:
    """Trials take whatever is ready at the moment, fresh or stale; results come in between."""
    task = a_problem(SMALL)
    ahead = LookAhead(max_workers=2)
    history: list[Observation] = []
    running: dict[int, Parameters] = {}
    taken: list[Parameters] = []
    deadline = time.monotonic() + 60
    while not (ahead.exhausted("study") and not ahead.ready("study")):
        assert time.monotonic() < deadline
        ahead.request("study", Inputs(task, tuple(history), dict(running)), range(len(taken), len(taken) + 6))
        ready = ahead.ready("study")
        while len(running) < 4 and len(taken) in ready:
            running[len(taken)] = ready[len(taken)].parameters
            taken.append(ready[len(taken)].parameters)
        if len(running) == 4 or (running and ahead.exhausted("study")):
            number, parameters = running.popitem()
            history.append(Observation(number, parameters, (loss(parameters),)))
    ahead.close()
    assert len({identity(parameters) for parameters in taken}) == len(taken) == SMALL_SIZE


def test_the_end_of_the_space_is_told(ahead: LookAhead) -> None:
    task = a_problem(SMALL, algorithm="Grid")
    history = results(task, SMALL_SIZE - 2)
    ahead.request("study", Inputs(task, history, {}), range(46, 50))
    assert ahead.join(30)
    assert list(ahead.ready("study")) == [46, 47]
    assert ahead.exhausted("study")
    ahead.request("study", Inputs(task, history[:-1], {}), range(46, 50))
    assert ahead.join(30)
    assert list(ahead.ready("study")) == [46, 47, 48], "a trial that was lost gives its point back"


def test_an_error_is_a_problem_of_its_study_only(ahead: LookAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, tries = a_problem(MIXED, uid="broken"), []

    def fragile(task: Problem, **kwargs: Any) -> Any:
        if task == broken:
            tries.append(kwargs["number"])
            if len(tries) < 3:
                raise RuntimeError("no luck")
        return suggest(task, **kwargs)

    monkeypatch.setattr(pending, "suggest", fragile)
    monkeypatch.setattr(pending, "_BACKOFF_FIRST", 0.05)
    ahead.request("broken", Inputs(broken, (), {}), [0])
    ahead.request("sound", Inputs(a_problem(MIXED), (), {}), [0])
    assert ahead.join(30)
    assert list(ahead.ready("sound")) == [0]
    assert (ahead.problem("broken"), ahead.problem("sound")) == ("RuntimeError: no luck", None)
    wait_for(lambda: ahead.ready("broken"))
    assert (len(tries), ahead.problem("broken")) == (3, None)


def test_studies_take_turns(ahead: LookAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    order, working, start = [], threading.Event(), threading.Event()

    def recorded(task: Problem, **kwargs: Any) -> Any:
        working.set()
        start.wait(10)
        order.append(task.study_uid)
        return suggest(task, **kwargs)

    monkeypatch.setattr(pending, "suggest", recorded)
    ahead.request("first", Inputs(a_problem(MIXED, uid="-"), (), {}), [0])
    assert working.wait(10)
    for uid in "abc":
        ahead.request(uid, Inputs(a_problem(MIXED, uid=uid), (), {}), range(4))
    start.set()
    assert ahead.join(30)
    assert order == list("-abcabcabcabc")


def test_what_is_urgent_goes_first(ahead: LookAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    order = []

    def recorded(task: Problem, **kwargs: Any) -> Any:
        order.append(task.study_uid)
        return suggest(task, **kwargs)

    history = results(a_problem(MIXED), 12)
    ahead.request("old", Inputs(a_problem(MIXED, uid="old"), history[:11], {}), [12, 13])
    assert ahead.join(30)
    monkeypatch.setattr(pending, "suggest", recorded)
    ahead.request("old", Inputs(a_problem(MIXED, uid="old"), history, {}), [12, 13])
    ahead.request("new", Inputs(a_problem(MIXED, uid="new"), history, {}), [12, 13])
    assert ahead.join(30)
    assert order == ["new", "new", "old", "old"]


def test_a_forgotten_study_leaves_nothing(ahead: LookAhead) -> None:
    ahead.request("study", Inputs(a_problem(MIXED), (), {}), range(3))
    ahead.forget("study")
    assert ahead.join(30)
    assert (dict(ahead.ready("study")), ahead.exhausted("study"), ahead.problem("study")) == ({}, False, None)


def test_a_study_made_anew_under_the_same_name_starts_anew(ahead: LookAhead) -> None:
    first, second = a_problem(MIXED, uid="first"), a_problem(MIXED, uid="second")
    ahead.request("study", Inputs(first, (), {}), [0])
    assert ahead.join(30)
    ahead.request("study", Inputs(second, (), {}), [0])
    assert all(s == one_by_one(second, (), {}, [0])[0] for s in ahead.ready("study").values())
    assert ahead.join(30)
    assert ahead.ready("study") == one_by_one(second, (), {}, [0])


def test_only_news_is_told_and_a_failing_listener_kills_nobody() -> None:
    told = []

    def listen(key: object) -> None:
        told.append(key)
        raise RuntimeError("listener")

    ahead = LookAhead(on_ready=listen)
    task = a_problem(MIXED)
    history = results(task, 13)
    ahead.request("study", Inputs(task, history[:12], {}), [13, 14])
    assert ahead.join(30)
    ahead.request("study", Inputs(task, history, {}), [13, 14])
    assert ahead.join(30)
    ahead.close()
    assert told == ["study", "study"], "a suggestion made again is no news"


def test_closing_is_quick_and_final(ahead: LookAhead) -> None:
    ahead.request("study", Inputs(a_problem(MIXED), (), {}), range(100))
    ahead.close()
    ahead.request("study", Inputs(a_problem(MIXED), (), {}), range(100))
    assert dict(ahead.ready("study")) == {}


def test_memory_is_bounded(ahead: LookAhead, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tuning_operator.search.lookahead._MAX_POINTS", 30)
    history = results(a_problem(MIXED), 13)
    for uid in "abcd":
        ahead.request(uid, Inputs(a_problem(MIXED, uid=uid), history, {}), [13])
        assert ahead.join(30)
    kept = [0 if study.known is None else len(study.known.points) for study in ahead._studies.values()]
    assert kept == [0, 0, 13, 13]
    assert all(list(ahead.ready(uid)) == [13] for uid in "abcd")


async def test_the_event_loop_goes_on_meanwhile() -> None:
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    ahead = LookAhead(on_ready=lambda key: loop.call_soon_threadsafe(ready.set))
    ahead.request("study", Inputs(a_problem(MIXED), (), {}), range(4))
    await asyncio.wait_for(ready.wait(), 10)
    assert ahead.ready("study")
    await asyncio.to_thread(ahead.close)


def wait_for(condition: Any, seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class PairsOnly:
    """An algorithm that waits for the values of a generation of two."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int]] = []

    def __call__(self, task: Problem, **given: Any) -> Any:
        number, history = given["number"], given["history"]
        finished = sum(observation.values is not None for observation in history)
        self.asked.append((number, finished))
        if number >= 2 * (finished // 2 + 1):
            return Waiting(f"{finished} results known")
        return suggest(task, **given)


def test_a_search_that_waits_is_asked_again_when_something_changes(
    ahead: LookAhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = PairsOnly()
    monkeypatch.setattr(pending, "suggest", pairs)
    task = a_problem(MIXED)
    done = results(task, 2)
    points = {each.number: each.parameters for each in done}
    ahead.request("study", Inputs(task, (), {}), range(4))
    assert ahead.join(30)
    assert (list(ahead.ready("study")), ahead.waiting("study")) == ([0, 1], "0 results known")
    for _ in range(2):  # nothing has changed
        ahead.request("study", Inputs(task, (), {}), range(4))
        assert ahead.join(30)
    assert pairs.asked == [(0, 0), (1, 0), (2, 0)]
    assert ahead.stuck("study") is None, "what is ready will run"
    ahead.request("study", Inputs(task, done[:1], {1: points[1]}), range(2, 4))
    assert ahead.join(30)
    assert (dict(ahead.ready("study")), ahead.waiting("study")) == ({}, "1 results known")
    assert ahead.stuck("study") is None, "trial 1 runs"
    ahead.request("study", Inputs(task, done[:1], {}), range(2, 4))  # trial 1 was lost
    assert ahead.join(30)
    assert ahead.stuck("study") == "1 results known"
    ahead.request("study", Inputs(task, done, {}), range(2, 6))
    assert ahead.join(30)
    assert (list(ahead.ready("study")), ahead.waiting("study")) == ([2, 3], "2 results known")
    assert not ahead.exhausted("study")


def test_another_value_of_the_same_trial_is_another_history(ahead: LookAhead) -> None:
    task = a_problem(MIXED)
    history = results(task, 12)
    ahead.request("study", Inputs(task, history, {}), [12, 13])
    assert ahead.join(30)
    higher = (Observation(0, history[0].parameters, (-100.0,)), *history[1:])
    ahead.request("study", Inputs(task, higher, {}), [12, 13])
    assert ahead.join(30)
    assert ahead.ready("study") == one_by_one(task, higher, {}, [12, 13])
    assert ahead.ready("study") != one_by_one(task, history, {}, [12, 13])


def test_a_trial_that_runs_on_with_a_value_is_known_by_it() -> None:
    task = a_problem(MIXED)
    history = results(task, 12)
    running = {3: history[3].parameters}
    assert suggest(task, history=history, running=running, number=12) == suggest(
        task, history=history, running={}, number=12
    )
