"""Scraping pods that may be friendly, silent or hostile, over real HTTP on this machine."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.unit.cluster.builders import a_spec, a_study, raw_pod, raw_study, raw_trial
from tuning_operator.api.study import MetricsSource
from tuning_operator.cluster.collect import AT_ONCE, Collector
from tuning_operator.cluster.keyqueue import KeyQueue
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.scrape import BODY_MAX, Scraper, session, url
from tuning_operator.cluster.seen import pod_seen, study_seen, trial_seen
from tuning_operator.cluster.store import Key, Known, Store

UP = {"running": {"startedAt": "2026-01-31T12:00:00Z"}}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[tuple[Collector, Known, KeyQueue[Key]]]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    running: list[TestServer] = []
    sessions: list[aiohttp.ClientSession] = []

    async def start(handler: Handler) -> tuple[Collector, Known, KeyQueue[Key]]:
        app = web.Application()
        app.router.add_get("/metrics", handler)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        running.append(server)
        store = Store()
        store.put(study_seen(raw_study()))
        for seen in (trial_seen(raw_trial(0)), pod_seen(raw_pod(phase="Running", state=UP, podIP="127.0.0.1"))):
            assert seen is not None
            store.put(seen)
        known = store.studies["ns", "digits"]
        known.study = a_study(metrics={"port": server.port, "intervalSeconds": 1})
        queue: KeyQueue[Key] = KeyQueue()
        http = session(AT_ONCE)
        sessions.append(http)
        return Collector(store, queue, Meters(), {MetricsSource.DIRECT: Scraper(http)}), known, queue

    yield start
    for http in sessions:
        await http.close()
    for server in running:
        await server.close()


async def scraped(scraper: Collector, seconds: float = 2.0) -> None:
    task = asyncio.create_task(scraper.run())
    await asyncio.sleep(seconds)
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_running_trials_values_become_its_live_report(serve: Serve) -> None:
    async def friendly(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers
        return web.Response(text="tuning_step 4\ntuning_loss 0.25\n")

    scraper, known, queue = await serve(friendly)
    await scraped(scraper)
    report = known.looked[0, 0].report
    assert report is not None
    assert known.looked[0, 0].at is not None
    assert (report.step, report.final) == (4, {"loss": 0.25})
    assert len(queue) == 1


@pytest.mark.parametrize("kind", ["redirect", "huge", "garbage", "error", "two series"])
async def test_a_hostile_answer_hurts_nobody_and_counts_for_nothing(serve: Serve, kind: str) -> None:
    async def hostile(request: web.Request) -> web.Response:
        match kind:
            case "redirect":
                raise web.HTTPFound("http://127.0.0.1:1/elsewhere")
            case "huge":
                return web.Response(body=b"loss 1\n" + b"a" * BODY_MAX)
            case "garbage":
                return web.Response(body=bytes(range(256)) * 100)
            case "error":
                return web.Response(status=500, text="loss 1\n")
        return web.Response(text='loss{a="1"} 1\nloss{a="2"} 2\n')

    scraper, known, _ = await serve(hostile)
    await scraped(scraper)
    assert known.looked[0, 0].report is None
    assert bool(known.looked[0, 0].trouble) == (kind != "garbage")  # where nothing is found, nothing has failed


async def test_a_trial_that_is_recorded_is_not_scraped(serve: Serve) -> None:
    asked = 0

    async def count(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        return web.Response(text="loss 1\n")

    scraper, known, _ = await serve(count)
    result = {"state": "Stopped", "reason": "TargetReached"}
    recorded = trial_seen(raw_trial(0, version=9, result=result))
    assert recorded is not None
    known.trials[0] = recorded
    await scraped(scraper, 1.5)
    assert asked == 0


async def test_a_rung_is_read_when_it_is_due_and_wakes_the_study(serve: Serve) -> None:
    """One step takes 0.5 s, the interval is an hour: without the reckoning only the first scrape would be."""
    began = time.monotonic()
    asked: list[float] = []

    async def training(request: web.Request) -> web.Response:
        asked.append(time.monotonic() - began)
        step = int(asked[-1] / 0.5)
        lines = [f"tuning_step {step}", f"tuning_loss {1 / max(1, step)}"]
        lines += [f'tuning_rung{{metric="loss",budget="{rung}"}} {1 / rung}' for rung in (1, 3, 9) if rung <= step]
        return web.Response(text="\n".join([*lines, ""]))

    scraper, known, queue = await serve(training)
    port = known.study.spec.metrics.port if known.study else 0
    known.study = a_study(
        metrics={"port": port, "intervalSeconds": 3600},
        fidelity={"max": 27},
        scheduler={"name": "ASHA", "asha": {"mode": "Hybrid"}},
        trial=a_spec()["trial"] | {"checkpoints": {"claimName": "kept"}},
    )
    task = asyncio.create_task(scraper.run())
    woken: list[int] = []
    while time.monotonic() < began + 5.5:
        if len(queue):
            queue.done(await queue.get())
            report = known.looked[0, 0].report
            woken.append(max(report.rungs, default=0) if report else 0)
        await asyncio.sleep(0.02)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    report = known.looked[0, 0].report
    assert report is not None
    assert report.rungs == {rung: {"loss": 1 / rung} for rung in (1, 3, 9)}
    assert woken == [3, 9]
    assert len(asked) <= 9
    assert min(later - earlier for earlier, later in itertools.pairwise(asked)) >= 0.45


def test_addresses_of_both_families() -> None:
    assert url("10.0.0.7", 9464, "/metrics") == "http://10.0.0.7:9464/metrics"
    assert url("fd00::7", 9464, "/m") == "http://[fd00::7]:9464/m"
