"""The sidecar in the Job, what it leaves in the pod's status, and how it is asked for its report."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.unit.cluster.builders import a_study, raw_job, raw_pod, raw_study, raw_trial, terminated
from tuning_operator.api.sources import port_of, source_of
from tuning_operator.api.study import MetricsSource
from tuning_operator.api.trial import Role
from tuning_operator.cluster.collect import Collector
from tuning_operator.cluster.gather import runs_of
from tuning_operator.cluster.jobs import JobSettings, job_for, owner_reference
from tuning_operator.cluster.keyqueue import KeyQueue
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.scrape import session
from tuning_operator.cluster.seen import SIDECAR, job_seen, pod_seen, study_seen, trial_seen
from tuning_operator.cluster.sidecar import SidecarReader
from tuning_operator.cluster.store import Key, Known, Looked, Store
from tuning_operator.core.model import Study, Trial
from tuning_operator.core.templates import TemplateError
from tuning_operator.metrics import sidecar
from tuning_operator.search.types import Suggestion

Object = dict[str, Any]
REPORT = '{"v":1,"step":3,"final":{"loss":0.5},"done":false,"at":1769860790.5}'


def templated(container: Object, **spec: Any) -> Study:
    pod = {
        "containers": [{"name": "main", "image": "x"} | container],
        "initContainers": [{"name": "mine", "image": "y"}],
    }
    return a_study(trial={"template": {"spec": {"template": {"spec": pod}}}}, **spec)


def the_pod(study: Study, image: str = "operator:1") -> Object:
    trial = Trial(0, suggestion=Suggestion({"lr": 0.1}, "TPE", 0), role=Role.SEARCH, created_at=0.0)
    owner = owner_reference("TuningTrial", name="t", uid="u")
    job = job_for(study, trial, attempt=0, owner=owner, settings=JobSettings("trainer:1", image))
    pod: Object = job["spec"]["template"]["spec"]
    return pod


METRICS_PORT = {"ports": [{"name": "web", "containerPort": 80}, {"name": "metrics", "containerPort": 8000}]}


@pytest.mark.parametrize(
    ("study", "source", "port"),
    [
        (templated({}), MetricsSource.DIRECT, 9464),
        (templated(METRICS_PORT), MetricsSource.SIDECAR, 8000),
        (templated(METRICS_PORT, metrics={"logs": {}}), MetricsSource.LOGS, 8000),
        (templated(METRICS_PORT, metrics={"source": "Direct"}), MetricsSource.DIRECT, 9464),
        (templated({}, metrics={"source": "Sidecar", "port": 80}), MetricsSource.SIDECAR, 80),
        (templated({"ports": [{"name": "metrics"}]}), MetricsSource.DIRECT, 9464),
        (a_study(trial={"trainer": {"data": "digits"}}), MetricsSource.DIRECT, 9464),
        (a_study(trial={"template": {"spec": {"template": {"spec": {"containers": 3}}}}}), MetricsSource.DIRECT, 9464),
    ],
    ids=["no port", "a named port", "logs", "direct", "asked for", "a port without a number", "trainer", "no Job"],
)
def test_auto_takes_what_the_template_says_of_itself(study: Study, source: MetricsSource, port: int) -> None:
    assert (source_of(study.spec), port_of(study.spec)) == (source, port)


def test_the_sidecar_is_a_native_one_and_restricted() -> None:
    pod = the_pod(templated(METRICS_PORT, constraints=[{"metric": "size", "max": 1}]))
    mine, added = pod["initContainers"]
    assert (mine["name"], added["name"]) == ("mine", SIDECAR)
    assert (added["restartPolicy"], added["image"]) == ("Always", "operator:1")
    assert added["args"] == ["sidecar", "--port=8000", "--path=/metrics", "--listen=9465", "--metric=size"]
    assert [entry["name"] for entry in added["env"]] == ["TUNING_OBJECTIVES"]
    security = added["securityContext"]
    assert (security["runAsNonRoot"], security["allowPrivilegeEscalation"]) == (True, False)
    assert security["capabilities"] == {"drop": ["ALL"]}
    assert {"name": "TUNING_METRICS_PORT", "value": "8000"} in pod["containers"][0]["env"]
    assert pod["containers"][0]["ports"] == METRICS_PORT["ports"]


def test_its_port_is_never_the_trials() -> None:
    pod = the_pod(templated({}, metrics={"source": "Sidecar", "port": sidecar.PORT}))
    assert f"--listen={sidecar.PORT + 1}" in pod["initContainers"][1]["args"]


def test_without_an_image_of_it_the_study_is_refused() -> None:
    with pytest.raises(TemplateError, match="--operator-image"):
        the_pod(templated(METRICS_PORT), image="")


def pod_with(message: str = "", *, own: str = "", last: str = "") -> Object:
    raw = raw_pod(phase="Succeeded", state=terminated(0, message=own))
    state = terminated(0, message=message) if message else {"running": {}}
    entry: Object = {"name": SIDECAR, "state": state}
    if last:
        entry["lastState"] = terminated(137, message=last)
    raw["status"]["initContainerStatuses"] = [{"name": "mine", "state": terminated(0, message="x")}, entry]
    return raw


def test_what_it_left_is_the_trials_report_and_how_old_it_is() -> None:
    seen = pod_seen(pod_with(REPORT))
    assert seen is not None
    assert seen.report is not None
    assert (seen.report.final, seen.looked_at) == ({"loss": 0.5}, 1769860790.5)
    store = a_store(pod_with(REPORT))
    (run,) = runs_of(store.studies["ns", "digits"]).values()
    assert (run.report, run.looked_at) == (seen.report, 1769860790.5)


def test_the_trials_own_report_comes_before_it() -> None:
    seen = pod_seen(pod_with(REPORT, own='{"v":1,"step":9,"final":{"loss":0.1},"done":true}'))
    assert seen is not None
    assert seen.report is not None
    assert (seen.report.step, seen.looked_at) == (9, None)


@pytest.mark.parametrize(
    ("raw", "step"),
    [(pod_with("words"), None), (pod_with(), None), (pod_with(last=REPORT), 3), (pod_with(REPORT, last="words"), 3)],
    ids=["no report", "still running", "it was killed and started again", "both"],
)
def test_of_several_lives_the_last_report_counts(raw: Object, step: int | None) -> None:
    seen = pod_seen(raw)
    assert seen is not None
    assert (None if seen.report is None else seen.report.step) == step


def a_store(*pods: Object) -> Store:
    store = Store()
    store.put(study_seen(raw_study()))
    for seen in (trial_seen(raw_trial(0)), job_seen(raw_job()), *map(pod_seen, pods)):
        assert seen is not None
        store.put(seen)
    return store


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with session(4) as made:
        yield made


async def follow(http: aiohttp.ClientSession, port: int, there: Callable[[Looked], Any]) -> Known:
    """The study once what was found of its running trial is such."""
    up = {"running": {"startedAt": "2026-01-31T12:00:00Z"}}
    store, queue = a_store(raw_pod(phase="Running", state=up, podIP="127.0.0.1")), KeyQueue[Key]()
    known = store.studies["ns", "digits"]
    known.study = a_study(metrics={"source": "Sidecar", "intervalSeconds": 1})
    reader = SidecarReader(http, port=port)
    task = asyncio.create_task(Collector(store, queue, Meters(), {MetricsSource.SIDECAR: reader}).run())
    try:
        async with asyncio.timeout(8):
            while not there(known.looked.get((0, 0), Looked())):
                assert not task.done()
                await asyncio.sleep(0.02)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    return known


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Any], Any]]:
    running: list[TestServer] = []

    async def start(handler: Any) -> int:
        app = web.Application()
        app.router.add_get(sidecar.PATH, handler)
        server = TestServer(app, host="127.0.0.1")
        await server.start_server()
        running.append(server)
        return int(server.port or 0)

    yield start
    for server in running:
        await server.close()


async def test_it_is_asked_for_news_only(http: aiohttp.ClientSession, serve: Any) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.query[sidecar.AFTER])
        if asked[-1] == "7":
            return web.Response(status=204, headers={sidecar.CURSOR: "7"})
        return web.Response(text=REPORT, headers={sidecar.CURSOR: "7"})

    known = await follow(http, await serve(answer), lambda looked: len(asked) >= 3)
    assert asked[:3] == ["0", "7", "7"]
    report = known.looked[0, 0].report
    assert report is not None
    assert report.final == {"loss": 0.5}


@pytest.mark.parametrize("kind", ["huge", "words", "an error", "a redirect"])
async def test_what_is_no_report_counts_for_nothing(http: aiohttp.ClientSession, serve: Any, kind: str) -> None:
    async def answer(request: web.Request) -> web.Response:
        match kind:
            case "huge":
                return web.Response(body=b"{" * 100_000)
            case "an error":
                return web.Response(status=500, text=REPORT)
            case "a redirect":
                raise web.HTTPFound("http://127.0.0.1:1/")
        return web.Response(text="loss 1")

    known = await follow(http, await serve(answer), lambda looked: looked.trouble)
    assert known.looked[0, 0].report is None
