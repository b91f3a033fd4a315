"""Servers that are not what they should be, credentials, and who is asked at all. The real one is in tests/cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.unit.cluster.builders import a_study, raw_job, raw_pod, raw_study, raw_trial, terminated
from tuning_operator.api.study import MetricsSource
from tuning_operator.cluster.collect import Collector
from tuning_operator.cluster.keyqueue import KeyQueue
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.prometheus import ANSWER_MAX, POINTS_MAX, QueryReader, Servers, session
from tuning_operator.cluster.seen import job_seen, pod_seen, study_seen, trial_seen
from tuning_operator.cluster.store import Key, Looked, Store

NOTHING = {"status": "success", "data": {"resultType": "matrix", "result": []}}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Fake:
    """Answers as a test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.handle: Handler = self.nothing
        self.asked: list[web.Request] = []

    async def nothing(self, request: web.Request) -> web.StreamResponse:
        return web.json_response(NOTHING)

    async def any(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        return await self.handle(request)


@pytest.fixture
async def fake() -> AsyncIterator[tuple[Fake, str]]:
    ours, app = Fake(), web.Application()
    app.router.add_get("/{path:.*}", ours.any)
    server = TestServer(app, host="127.0.0.1")
    await server.start_server()
    yield ours, f"http://127.0.0.1:{server.port}"
    await server.close()


async def look(servers: Servers, *, seconds: float = 1.5, ended: bool = True, **metrics: Any) -> Looked:
    """What comes of an ended trial's values within so long."""
    store, queue = Store(), KeyQueue[Key]()
    store.put(study_seen(raw_study()))
    changes: dict[str, Any] = {"phase": "Succeeded", "state": terminated(0)}
    for seen in (trial_seen(raw_trial(0)), job_seen(raw_job()), pod_seen(raw_pod(**changes))):
        assert seen is not None
        store.put(seen)
    known = store.studies["ns", "digits"]
    known.study = a_study(metrics={"source": "Query", "intervalSeconds": 1, **metrics})
    async with session(servers, 4) as http:
        readers = {MetricsSource.QUERY: QueryReader(http, servers)}
        task = asyncio.create_task(Collector(store, queue, Meters(), readers).run())
        for _ in range(round(seconds / 0.05)):
            await asyncio.sleep(0.05)
            if known.looked.get((0, 0), Looked()).complete:
                break
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return known.looked.get((0, 0), Looked())


async def test_it_asks_for_the_pods_series_and_for_a_bounded_number_of_points(fake: tuple[Fake, str]) -> None:
    ours, url = fake
    looked = await look(Servers([url + "/"]))
    assert looked == Looked(complete=True)
    queries = [request.query["query"] for request in ours.asked]
    own = 'namespace="ns",pod="digits-0-0-abcde"'
    assert queries == [
        f'{{__name__="tuning_loss",{own}}} or {{__name__="loss",{own}}}', f'{{__name__="tuning_step",{own}}}'
    ]  # fmt: skip
    assert [request.path for request in ours.asked] == ["/api/v1/query_range"] * 2
    asked = ours.asked[0].query
    assert (float(asked["end"]) - float(asked["start"])) / float(asked["step"]) <= POINTS_MAX
    assert float(asked["end"]) - float(asked["start"]) == 1  # its second, and the grace after it


async def test_other_labels_of_the_installation(fake: tuple[Fake, str]) -> None:
    ours, url = fake
    await look(Servers([url], namespace_label="exported_namespace", pod_label="exported_pod"))
    assert 'exported_namespace="ns",exported_pod="digits-0-0-abcde"' in ours.asked[0].query["query"]


async def test_the_token_is_read_each_time_and_sent(fake: tuple[Fake, str], tmp_path: Path) -> None:
    ours, url = fake
    (tmp_path / "token").write_text("first\n")

    async def rotate(request: web.Request) -> web.StreamResponse:
        (tmp_path / "token").write_text("second\n")
        return web.json_response(NOTHING)

    ours.handle = rotate
    await look(Servers([url], tmp_path))
    assert [request.headers["Authorization"] for request in ours.asked] == ["Bearer first", "Bearer second"]


async def test_without_credentials_none_are_sent(fake: tuple[Fake, str]) -> None:
    ours, url = fake
    await look(Servers([url]))
    assert all("Authorization" not in request.headers for request in ours.asked)


@pytest.mark.parametrize(
    ("allowed", "server", "why"),
    [
        ([], None, "no Prometheus server is allowed in this installation"),
        (
            ["http://good.test"],
            "http://bad.test",
            "http://bad.test: the administrator does not allow it; write one of: ",
        ),
        (["http://good.test"], "http://good.test.bad.test", "does not allow it"),
        (["http://good.test/a"], "http://good.test", "does not allow it"),
        (["http://good.test"], "http://good.test/", ""),
        (["http://good.test/", "http://other.test"], None, ""),
        (["http://good.test/", "http://other.test"], "http://other.test", ""),
    ],
)
def test_whom_it_asks_is_the_administrators_to_say(allowed: list[str], server: str | None, why: str) -> None:
    spec = a_study(metrics={"query": {} if server is None else {"server": server}}).spec
    problems = Servers(allowed).problems(spec)
    assert bool(problems) == bool(why)
    assert why in "".join(problems)


async def test_a_server_that_is_not_allowed_is_never_asked(fake: tuple[Fake, str]) -> None:
    ours, url = fake
    looked = await look(Servers(["http://good.test"]), query={"server": url})
    assert looked.complete
    assert "does not allow it" in looked.trouble
    assert ours.asked == []


@pytest.mark.parametrize("kind", ["redirect", "huge", "endless", "html", "not json", "500", "401", "gzip", "closed"])
async def test_a_hostile_answer_hurts_nobody_and_counts_for_nothing(fake: tuple[Fake, str], kind: str) -> None:
    ours, url = fake
    elsewhere = 0

    async def hostile(request: web.Request) -> web.StreamResponse:
        nonlocal elsewhere
        match kind:
            case "redirect" if "elsewhere" not in request.path:
                raise web.HTTPFound(f"{url}/elsewhere")
            case "redirect":
                elsewhere += 1
            case "huge":
                return web.Response(body=b" " * (ANSWER_MAX + 1), content_type="application/json")
            case "endless":
                answer = web.StreamResponse(headers={"Content-Type": "application/json"})
                await answer.prepare(request)
                for _ in range(1 << 12):
                    await answer.write(b"[" * 1024)
                return answer
            case "html":
                return web.Response(text="<html>please log in</html>", content_type="text/html")
            case "not json":
                return web.Response(body=b"\xff" * 100, content_type="application/json")
            case "500":
                return web.Response(status=500, text="oops")
            case "401":
                return web.Response(status=401, text="who are you")
            case "gzip":
                return web.Response(body=b"\x1f\x8b" + b"\0" * 100, headers={"Content-Encoding": "gzip"})
            case "closed":
                assert request.transport is not None
                request.transport.close()
        return web.Response()

    ours.handle = hostile
    looked = await look(Servers([url]))
    assert (looked.report, looked.complete, elsewhere) == (None, False, 0)
    assert looked.trouble
    assert len(looked.trouble) <= 300
