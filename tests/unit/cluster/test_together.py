"""Pods that train together, seen as one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tuning_operator.cluster.seen import Identity, JobSeen, PodSeen
from tuning_operator.cluster.together import together
from tuning_trial.report import Report

JOB = JobSeen(Identity("ns", "j", "job", 1), 0, 0, created_at=0.0, workers=3)
FAILED = replace(JOB, failed=True, ended=True)


def pod(index: int, **changes: object) -> PodSeen:
    return replace(
        PodSeen(Identity("ns", f"p{index}", f"pod-{index}", 1), 0, 0, created_at=0.0, index=index), **changes
    )  # type: ignore[arg-type]


def up(index: int, at: float = 10.0) -> PodSeen:
    return pod(index, running=True, started_at=at, address=f"10.0.0.{index}")


def done(index: int, code: int = 0, at: float = 20.0, **changes: object) -> PodSeen:
    return pod(index, ended=True, exit_code=code, started_at=10.0, ended_at=at, **changes)


REPORT = Report(step=3, final={"loss": 0.5})

CASES = {
    "one pod that waits for a node makes all wait": (
        JOB, [up(0), up(1), pod(2, reason="Unschedulable")],
        {"running": False, "reason": "Unschedulable", "started_at": None},
    ),
    "all run: since the first of them does": (
        JOB, [up(0, 12.0), up(1, 10.0), up(2, 11.0)],
        {"running": True, "started_at": 10.0, "address": "10.0.0.0", "deleting": False},
    ),
    "some are done, others still run": (JOB, [done(0), up(1), done(2)], {"running": True, "ended": False}),
    "all are done: the first has the word on values": (
        JOB, [done(0, report=REPORT), done(1, at=25.0), done(2)],
        {"ended": True, "exit_code": 0, "ended_at": 25.0, "report": REPORT},
    ),
    "one failed, and the others are still being stopped": (
        FAILED, [up(0), done(1, 1), up(2)], {"running": True, "deleting": True, "ended": False},
    ),
    "one crashed and the others were stopped for it: its code counts": (
        FAILED,
        [done(0, 143, 20.0, deleting=True, report=REPORT), done(1, 44, 21.0), done(2, 143, 20.0, deleting=True)],
        {"ended": True, "exit_code": 44, "deleting": False, "report": REPORT},
    ),
    "one was evicted: that is why the others crashed": (
        FAILED, [done(0, 1, 20.0), done(1, 143, 21.0, disrupted=True), done(2, 1, 20.0)],
        {"ended": True, "disrupted": True},
    ),
    "all stopped at the end of their budget, the slow ones were told to by the Job's end": (
        FAILED,
        [done(0, 143, 21.0, deleting=True, report=REPORT), done(1, 143, 20.0), done(2, 143, 21.0, deleting=True)],
        {"ended": True, "exit_code": 143, "deleting": False, "report": REPORT},
    ),
    "one is gone without last words": (
        FAILED, [done(0, 143, deleting=True), pod(1, gone=True), done(2, 143, deleting=True)], {"ended": True},
    ),
    "some pods have not come into being yet": (JOB, [up(0)], {"running": True, "ended": False}),
    "a pod that was done is gone, and the Job is not done yet": (
        JOB, [done(0), done(2)], {"running": True, "ended": False},
    ),
    "a pod that was done is gone, and the Job says that all were": (
        replace(JOB, ended=True), [done(0, report=REPORT), done(2)], {"ended": True, "exit_code": 0, "report": REPORT},
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_pods_that_train_together_are_seen_as_one(case: str) -> None:
    job, pods, want = CASES[case]
    found = together({each.index: each for each in pods}, job)
    assert {name: getattr(found, name) for name in want} == want


def test_a_single_pod_stands_for_itself() -> None:
    assert together({0: up(0)}, replace(JOB, workers=1)) == up(0)
