"""Fair shares where slots are scarce."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tuning_operator.cluster.policy import Policy
from tuning_operator.cluster.shares import Claim, Shares, deal
from tuning_operator.cluster.store import Key

A1, A2, A3, B1 = ("a", "1"), ("a", "2"), ("a", "3"), ("b", "1")


def claims(**wanted: tuple[int, int]) -> dict[Key, Claim]:
    """`a1=(wanted, cost)`; in order of their age."""
    return {(n[0], n[1]): Claim(w, 0, c, since=float(at)) for at, (n, (w, c)) in enumerate(wanted.items())}


CASES: dict[str, tuple[dict[str, Any], dict[Key, Claim], dict[Key, int]]] = {
    "nothing is limited": ({}, claims(a1=(5, 1), b1=(7, 1)), {A1: 5, B1: 7}),
    "two studies share alike": ({"default": {"maxParallel": 6}}, claims(a1=(9, 1), a2=(9, 1)), {A1: 3, A2: 3}),
    "the older one gets what cannot be divided": (
        {"default": {"maxParallel": 5}}, claims(a1=(9, 1), a2=(9, 1)), {A1: 3, A2: 2},
    ),
    "who wants less leaves the rest to the others": (
        {"default": {"maxParallel": 10}}, claims(a1=(1, 1), a2=(20, 1), a3=(20, 1)), {A1: 1, A2: 5, A3: 4},
    ),
    "shares are of accelerators": (
        {"default": {"maxAccelerators": 8}}, claims(a1=(9, 4), a2=(9, 1)), {A1: 1, A2: 4},
    ),
    "namespaces come before studies": (
        {"maxAccelerators": 8}, claims(a1=(9, 1), a2=(9, 1), a3=(9, 1), b1=(9, 1)), {A1: 2, A2: 1, A3: 1, B1: 4},
    ),
    "a namespace's own limit leaves the rest to others": (
        {"maxAccelerators": 8, "namespaces": {"a": {"maxAccelerators": 2}}},
        claims(a1=(9, 1), b1=(9, 1)), {A1: 2, B1: 6},
    ),
    "trials without accelerators count as one": (
        {"default": {"maxParallel": 4}}, claims(a1=(9, 0), a2=(9, 0)), {A1: 2, A2: 2},
    ),
    "a trial too large for the limit gets nothing, and hinders nobody": (
        {"default": {"maxAccelerators": 4}}, claims(a1=(9, 8), a2=(9, 1)), {A1: 0, A2: 4},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_slots_are_dealt_fairly(case: str) -> None:
    policy, wishes, want = CASES[case]
    assert deal(wishes, Policy.model_validate(policy)) == want


def test_a_share_that_another_study_still_holds_comes_as_its_trials_end() -> None:
    shares = Shares(Policy.model_validate({"default": {"maxParallel": 4}}))
    assert shares.allowed(A1, Claim(9, 0, 1, 0.0)) == 4
    assert shares.hold(A1, 4, wanted=9) == []
    assert shares.allowed(A2, Claim(9, 0, 1, 1.0)) == 0  # two are its due, all four are held
    assert shares.hold(A2, 0, wanted=9) == []
    assert shares.allowed(A1, Claim(9, 3, 1, 0.0)) == 2
    assert shares.hold(A1, 3, wanted=9) == [A2]  # room was made: it is told
    assert shares.allowed(A2, Claim(9, 0, 1, 1.0)) == 1
    shares.hold(A2, 1, wanted=9)
    assert shares.forget(A2) == [A1]


def test_what_a_study_holds_counts_before_it_is_decided_on() -> None:
    shares = Shares(Policy.model_validate({"default": {"maxParallel": 4}}))
    shares.begin(A2, Claim(3, 3, 1, 1.0))
    assert shares.allowed(A1, Claim(9, 0, 1, 0.0)) == 1
    shares.hold(A1, 1, wanted=9)
    assert shares.allowed(A2, Claim(9, 2, 1, 1.0)) == 2
    assert shares.hold(A2, 2, wanted=9) == [A1]


def test_room_is_told_of_whatever_is_asked_in_between() -> None:
    shares = Shares(Policy.model_validate({"default": {"maxParallel": 4}}))
    shares.allowed(A1, Claim(9, 0, 1, 0.0))
    shares.hold(A1, 4, wanted=9)
    shares.allowed(A2, Claim(9, 0, 1, 1.0))
    shares.hold(A2, 0, wanted=9)
    shares.allowed(A1, Claim(9, 4, 1, 0.0))
    assert shares.hold(A1, 4, wanted=9) == []  # nothing has changed
    shares.allowed(A1, Claim(9, 2, 1, 0.0))
    assert shares.hold(A1, 2, wanted=9) == [A2]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_asked_in_whatever_order_no_limit_is_passed_and_no_slot_stays_idle(seed: int) -> None:
    rng = random.Random(seed)
    policy = Policy.model_validate({
        "maxAccelerators": 12, "default": {"maxParallel": 5, "maxAccelerators": 8},
    })  # fmt: skip
    shares = Shares(policy)
    keys = [("ab"[rng.randrange(2)], str(number)) for number in range(6)]
    held = dict.fromkeys(keys, 0)
    for _ in range(400):
        key = rng.choice(keys)
        held[key] -= rng.randint(0, held[key])
        allowed = shares.allowed(key, Claim(4, held[key], 1, since=0.0))
        held[key] = max(held[key], min(allowed, 4))
        shares.hold(key, held[key], wanted=4)
        for namespace in "ab":
            assert sum(count for (space, _), count in held.items() if space == namespace) <= 5
        assert sum(held.values()) <= 12
    for _ in range(8):  # each looks again, and none of theirs ends: what is free is taken
        for key in keys:
            held[key] = max(held[key], shares.allowed(key, Claim(4, held[key], 1, since=0.0)))
            shares.hold(key, held[key], wanted=4)
    for namespace in {space for space, _ in keys}:
        count = sum(space == namespace for space, _ in keys)
        least = sum(n for (space, _), n in held.items() if space == namespace)
        assert least >= min(5, count)
