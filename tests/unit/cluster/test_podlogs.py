"""Values out of pods' logs, against a kubelet's rules: whole seconds in `sinceTime`, bounds as asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.unit.cluster.builders import a_spec, a_study, raw_job, raw_pod, raw_study, raw_trial, terminated
from tuning_operator.api.study import MetricsSource
from tuning_operator.cluster import podlogs
from tuning_operator.cluster.collect import Collector
from tuning_operator.cluster.errors import ApiError, ForbiddenError, InvalidError, NotFoundError, UnavailableError
from tuning_operator.cluster.gather import runs_of
from tuning_operator.cluster.keyqueue import KeyQueue
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.podlogs import LOOK_MAX, LogReader
from tuning_operator.cluster.seen import job_seen, pod_seen, study_seen, trial_seen
from tuning_operator.cluster.store import Key, Known, Store
from tuning_operator.core.decide import decide
from tuning_operator.core.model import Plan, RecordResult, Snapshot
from tuning_trial.report import Report

UP = {"running": {"startedAt": "2026-01-31T12:00:00Z"}}
BEGAN = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp())


@dataclass
class Kubelet:
    """One container's log: lines, each with its moment."""

    lines: list[tuple[float, bytes]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    refuses: ApiError | None = None
    piece: int = 1000
    zone: str = "Z"
    unfinished: bytes = b""

    def prints(self, at: float, *texts: str) -> None:
        self.lines += [(at, text.encode()) for text in texts]

    async def log(
        self, namespace: str, pod: str, *, container: str, since: str = "", tail: int = 0, limit: int = 0
    ) -> AsyncGenerator[bytes]:
        self.asked.append({"pod": f"{namespace}/{pod}/{container}", "since": since, "tail": tail, "limit": limit})
        if self.refuses is not None:
            raise self.refuses
        first = datetime.fromisoformat(since).timestamp() if since else 0.0
        wanted = [(at, text) for at, text in self.lines if BEGAN + at >= first]
        wanted = wanted[-tail:] if tail else wanted
        body = b"".join(self._stamp(at) + text + b"\n" for at, text in wanted) + self.unfinished
        body = body[:limit] if limit else body
        for start in range(0, len(body), self.piece):
            yield body[start : start + self.piece]

    def _stamp(self, at: float) -> bytes:
        whole = datetime.fromtimestamp(BEGAN + int(at), UTC)
        return f"{whole:%Y-%m-%dT%H:%M:%S}.{round(at % 1 * 1e9):09d}{self.zone} ".encode()


class World:
    """One study with one trial, whose log is read."""

    def __init__(self, **metrics: Any) -> None:
        self.kubelet = Kubelet()
        self.store = Store()
        self.queue: KeyQueue[Key] = KeyQueue()
        self.collector = Collector(self.store, self.queue, Meters(), {MetricsSource.LOGS: LogReader(self.kubelet)})
        self.store.put(study_seen(raw_study()))
        self.version = 1
        self._put(trial_seen(raw_trial(0)), job_seen(raw_job()))
        self.known.study = a_study(
            constraints=[{"metric": "size", "max": 10}],
            metrics={"source": "Logs", "intervalSeconds": 1} | metrics,
            limits={"trials": 1},
        )

    @property
    def known(self) -> Known:
        return self.store.studies["ns", "digits"]

    def runs(self) -> None:
        self._pod(phase="Running", state=UP, podIP="10.0.0.1")

    def ends(self, code: int = 0, **more: Any) -> None:
        self._pod(phase="Failed" if code else "Succeeded", state=terminated(code, **more))

    def _pod(self, **changes: Any) -> None:
        self.version += 1
        self._put(pod_seen(raw_pod(version=self.version, **changes)))

    def _put(self, *seen: Any) -> None:
        for each in seen:
            self.store.put(each)

    async def until(self, there: Callable[[], Any], *, seconds: float = 30.0) -> Any:
        task = asyncio.create_task(self.collector.run())
        try:
            async with asyncio.timeout(seconds):
                while not (found := there()):
                    assert not task.done()
                    await asyncio.sleep(0.02)
                return found
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def report(self) -> Report | None:
        looked = self.known.looked.get((0, 0))
        return None if looked is None else looked.report

    def complete(self) -> bool:
        looked = self.known.looked.get((0, 0))
        return looked is not None and looked.complete

    def plan(self, *, after_end: float) -> Plan:
        study = self.known.study
        assert study is not None
        runs = tuple(runs_of(self.known, late=True).values())
        return decide(Snapshot(study, (self.known.trials[0].trial,), runs), BEGAN + after_end)

    def result(self, *, after_end: float) -> RecordResult | None:
        actions = self.plan(after_end=after_end).actions
        return next((action for action in actions if isinstance(action, RecordResult)), None)


async def test_a_running_pods_lines_become_its_live_report() -> None:
    world = World()
    world.kubelet.prints(0.5, "hello", "epoch=1 loss=3 size=2")
    world.runs()
    report = await world.until(world.report)
    assert (report.step, report.final) == (1, {"loss": 3.0, "size": 2.0})
    assert world.kubelet.asked[0] == {"pod": "ns/digits-0-0-abcde/main", "since": "", "tail": 0, "limit": LOOK_MAX}
    assert len(world.queue) == 1


@pytest.mark.parametrize("zone", ["Z", "+00:00"])
async def test_no_line_is_read_twice_and_none_is_left_out(zone: str) -> None:
    """The mean over all lines says so: some have the same moment, and `sinceTime` gives those of a second again."""
    world = World()
    world.known.study = a_study(
        objectives=[{"metric": "loss", "goal": "Minimize", "summarize": "Mean", "window": 1000}],
        metrics={"source": "Logs", "intervalSeconds": 1}, limits={"trials": 1},
    )  # fmt: skip
    world.kubelet.zone = zone
    values = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]
    moments = [0.1, 0.1, 0.1, 0.9, 1.0, 1.0, 1.25]
    world.kubelet.prints(moments[0], f"loss={values[0]}")
    world.runs()
    await world.until(world.report)
    for count in range(2, 8):
        world.kubelet.prints(moments[count - 1], f"loss={values[count - 1]}")
        mean = sum(values[:count]) / count
        await world.until(lambda mean=mean: (report := world.report()) and report.mean["loss"] == pytest.approx(mean))
    world.ends()
    await world.until(world.complete)
    report = world.report()
    assert report is not None
    assert report.mean["loss"] == pytest.approx(sum(values) / 7)
    assert report.best["loss"].value == 1.0


async def test_a_trial_that_ends_before_the_first_look_loses_nothing() -> None:
    world = World()
    world.kubelet.prints(0.1, *(f"epoch={epoch} loss={9 - epoch} size=1" for epoch in range(1, 6)))
    world.kubelet.unfinished = b"2026-01-31T12:00:00.200000000Z epoch=6 loss=2.5"
    world.ends()
    assert world.result(after_end=0.0) is None
    await world.until(world.complete)
    result = world.result(after_end=0.0)
    assert result is not None
    assert (result.result.values, result.result.step) == ({"loss": 2.5}, 6)
    assert result.result.last_scrape_age is None
    assert world.kubelet.asked == [{"pod": "ns/digits-0-0-abcde/main", "since": "", "tail": 0, "limit": 0}]


async def test_a_report_of_the_trials_own_needs_no_log() -> None:
    world = World()
    world.ends(message='{"v":1,"step":3,"final":{"loss":0.5,"size":1},"done":true}')
    result = world.result(after_end=0.0)
    assert result is not None
    assert result.result.values == {"loss": 0.5}
    await asyncio.sleep(0)
    assert world.collector._tick() == float("inf")


async def test_a_flood_is_read_at_its_bound_and_its_end_is_found() -> None:
    """600 KiB in each of three seconds: more than a look may read, so a second is left; the end is read whole."""
    world = World()
    for second in range(3):
        world.kubelet.prints(second + 0.5, *[f"noise {second} " + "x" * 1000] * 600)
    world.kubelet.prints(2.9, "loss=1 size=1")
    world.kubelet.piece = 1 << 16
    world.runs()
    await world.until(lambda: len(world.kubelet.asked) >= 4, seconds=8)
    assert all(ask["limit"] == LOOK_MAX for ask in world.kubelet.asked)
    assert world.kubelet.asked[3]["since"] > world.kubelet.asked[1]["since"]
    world.kubelet.prints(3.5, "loss=0.5 size=1")
    world.ends()
    await world.until(world.complete)
    report = world.report()
    assert report is not None
    assert report.final == {"loss": 0.5, "size": 1.0}


async def test_of_a_log_without_end_the_last_lines_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(podlogs, "END_MAX", 100_000)
    monkeypatch.setattr(podlogs, "TAIL_LINES", 10)
    world = World()
    world.kubelet.prints(0.5, "loss=9 size=1", *["x" * 1000] * 300, "loss=1 size=1")
    world.ends()
    await world.until(world.complete)
    report = world.report()
    assert report is not None
    assert (report.final["loss"], report.best["loss"].value) == (1.0, 1.0)
    assert [ask["tail"] for ask in world.kubelet.asked] == [0, 10]


@pytest.mark.parametrize("kind", [NotFoundError, ForbiddenError, InvalidError])
async def test_a_log_that_cannot_be_read_is_said_and_not_waited_for(kind: type[ApiError]) -> None:
    world = World()
    world.kubelet.refuses = kind(403, "Forbidden", "pods/log is forbidden")
    world.ends()
    await world.until(world.complete)
    assert world.result(after_end=1.0) is None  # values may still come in some other way
    result = world.result(after_end=61.0)
    assert result is not None
    assert result.result.reason == "MetricsUnavailable"
    assert "its log cannot be read: Forbidden: pods/log is forbidden" in result.result.message


async def test_a_node_that_does_not_answer_is_asked_again_and_not_for_ever() -> None:
    world = World()
    world.kubelet.refuses = UnavailableError(500, "InternalError", "dial tcp: no route to host")
    world.kubelet.prints(0.5, "loss=1 size=1")
    world.ends()
    await world.until(lambda: len(world.kubelet.asked) >= 2)
    assert not world.complete()
    assert world.result(after_end=59.0) is None
    late = world.result(after_end=60.0)
    assert late is not None
    assert "no route to host" in late.result.message
    world.kubelet.refuses = None
    await world.until(world.complete)
    in_time = world.result(after_end=59.0)
    assert in_time is not None
    assert in_time.result.values == {"loss": 1.0}


async def test_a_fault_of_ours_is_that_trials_alone() -> None:
    world = World()
    world.kubelet.refuses = RuntimeError("nobody thought of this")  # type: ignore[assignment]
    world.ends()
    await world.until(lambda: len(world.kubelet.asked) >= 2)
    assert len(world.kubelet.asked) <= 3  # not in each tick
    assert "nobody thought of this" in world.known.looked[0, 0].trouble


async def test_a_failed_trial_keeps_the_values_that_it_printed() -> None:
    world = World()
    world.kubelet.prints(0.5, "epoch=2 loss=1 size=1")
    world.ends(1)
    await world.until(world.complete)
    result = world.result(after_end=0.0)
    assert result is not None
    assert (result.result.reason, result.result.step, result.result.values) == ("NonZeroExit", 2, {"loss": 1.0})


async def test_rungs_are_read_from_lines_with_steps() -> None:
    world = World()
    world.known.study = a_study(
        metrics={"source": "Logs", "intervalSeconds": 1}, fidelity={"max": 27}, limits={"trials": 1},
        scheduler={"name": "ASHA"}, trial=a_spec()["trial"] | {"checkpoints": {"claimName": "kept"}},
    )  # fmt: skip
    world.kubelet.prints(0.5, *(f"epoch={epoch} loss={10 - epoch}" for epoch in range(1, 5)))
    world.runs()
    report = await world.until(world.report)
    assert report.rungs == {1: {"loss": 9.0}, 3: {"loss": 7.0}}
