"""`metrics.source: Query` against a real Prometheus: its parser, its answers, how it forgets a series; and a study."""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.cluster.operated import condition, operated_plane, trials, until
from tests.operator_process import OperatorProcess, a_study, wait_for_state
from tests.promql import TAKEN
from tests.testcluster.control_plane import ControlPlane
from tests.testcluster.fakenode import FakeNode
from tests.testcluster.prometheus_server import INTERVAL, PrometheusServer
from tests.unit.cluster.builders import a_study as the_spec
from tests.unit.cluster.builders import raw_job, raw_pod, raw_study, raw_trial, terminated
from tuning_operator.api.promql import PromQLError, bound
from tuning_operator.api.study import MetricsSource
from tuning_operator.cluster.collect import Collector
from tuning_operator.cluster.keyqueue import KeyQueue
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.prometheus import QueryReader, Servers, session
from tuning_operator.cluster.seen import job_seen, pod_seen, study_seen, trial_seen
from tuning_operator.cluster.store import Key, Looked, Store

POD = {"namespace": "ns", "pod": "digits-0-0-abcde"}
STRANGER = {("other", "pod"): "tuning_loss -100\ntuning_step 99\nloss -100\nsecret 1"}
Object = dict[str, Any]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusServer]:
    with PrometheusServer(tmp_path_factory.mktemp("prometheus")) as server:
        yield server


# Its parser


def selectors(node: Any) -> list[frozenset[tuple[str, str, str]]]:
    """The matchers of every series in a parsed expression."""
    if isinstance(node, list):
        return [found for each in node for found in selectors(each)]
    if not isinstance(node, dict):
        return []
    own = []
    if node.get("type") == "vectorSelector":
        own = [frozenset((m["type"], m["name"], m["value"]) for m in node["matchers"])]
    return own + [found for key, each in node.items() if key != "matchers" for found in selectors(each)]


def test_what_we_take_is_promql_and_each_series_is_the_pods(prometheus: PrometheusServer) -> None:
    added = {("=", name, value) for name, value in POD.items()}
    for expression in TAKEN:
        before = prometheus.ask("parse_query", query=expression)
        after = prometheus.ask("parse_query", query=bound(expression, POD))
        assert before is not None, expression
        assert after is not None, (expression, bound(expression, POD))
        assert [found - added for found in selectors(after)] == selectors(before)
        assert all(found >= added for found in selectors(after)), expression


def test_of_random_words_nothing_gets_through_that_reads_others(prometheus: PrometheusServer) -> None:
    words = re.findall(
        r"\S+",
        """loss sum by without on ignoring group_left and or unless offset bool ( ) { } [5m] [1h:5m] , + - == 'x' "m" 1
        5m @ start end a= a='x' rate time nan {a='x'} (a) $ # in""",
    )
    chance, added, reached = random.Random(7), {("=", name, value) for name, value in POD.items()}, 0
    for _ in range(20_000):
        try:
            text = bound(" ".join(chance.choices(words, k=chance.randint(1, 7))), POD)
        except PromQLError:
            continue
        parsed = prometheus.ask("parse_query", query=text)
        if parsed is not None:
            reached += 1
            assert all(found >= added for found in selectors(parsed)), text
    assert reached > 100


# Its answers


class World:
    """One study with one trial; a Prometheus scrapes its pod, and one of another namespace with the same metrics."""

    def __init__(self, prometheus: PrometheusServer, **metrics: Any) -> None:
        self.store = Store()
        self.store.put(study_seen(raw_study()))
        self.version = 1
        self.servers = Servers([prometheus.url + "/"])
        self._put(trial_seen(raw_trial(0)), job_seen(raw_job()))
        self.known = self.store.studies["ns", "digits"]
        objective = {"metric": "loss", "goal": "Minimize", "summarize": "Best"}
        self.known.study = the_spec(
            objectives=[objective], metrics={"source": "Query", "intervalSeconds": 1, **metrics}, limits={"trials": 1}
        )
        self.began = time.time()
        self._prometheus = prometheus

    def tells(self, text: str) -> None:
        """Seen by Prometheus when this returns."""
        self._prometheus.expose(STRANGER | {(POD["namespace"], POD["pod"]): text})
        time.sleep(3 * INTERVAL)

    def runs(self) -> None:
        self._pod(phase="Running", state={"running": {"startedAt": stamp(self.began)}}, podIP="10.0.0.1")

    def ends(self) -> None:
        ended = terminated(0) | {}
        ended["terminated"] |= {"startedAt": stamp(self.began), "finishedAt": stamp(time.time())}
        self._pod(phase="Succeeded", state=ended)

    def _pod(self, **changes: Any) -> None:
        self.version += 1
        self._put(pod_seen(raw_pod(version=self.version, **changes)))

    def _put(self, *seen: Any) -> None:
        for each in seen:
            self.store.put(each)

    @property
    def looked(self) -> Looked:
        return self.known.looked.get((0, 0), Looked())

    async def until(self, there: Callable[[Looked], Any], *, seconds: float = 15.0) -> Looked:
        queue: KeyQueue[Key] = KeyQueue()
        async with session(self.servers, 4) as http:
            readers = {MetricsSource.QUERY: QueryReader(http, self.servers)}
            task = asyncio.create_task(Collector(self.store, queue, Meters(), readers).run())
            try:
                async with asyncio.timeout(seconds):
                    while not there(self.looked):
                        assert not task.done()
                        await asyncio.sleep(0.05)
                    return self.looked
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def stamp(at: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at))


async def test_the_curve_between_two_looks_is_seen_and_its_end_after_the_end(
    prometheus: PrometheusServer,
) -> None:
    """The best value stands for less than an interval: one look each 4 s could well miss it."""
    world = World(prometheus, intervalSeconds=4)
    world.runs()
    world.tells("tuning_step 1\ntuning_loss 5")
    await world.until(lambda looked: looked.report)
    for step, loss in enumerate((3, 1, 2), start=2):
        world.tells(f"tuning_step {step}\ntuning_loss {loss}")
    world.ends()
    gone = time.time()
    world.tells("")
    looked = await world.until(lambda looked: looked.complete)

    assert looked.report is not None
    assert (looked.report.step, looked.report.final, looked.report.best["loss"].value) == (4, {"loss": 2.0}, 1.0)
    assert looked.at is not None
    assert gone - 3 * INTERVAL < looked.at <= gone + 2 * INTERVAL
    assert time.time() - gone >= 4 - 1


@pytest.mark.parametrize(
    "expression", ["secret", "sum(secret)", '{__name__="secret",namespace="other"}', "loss or secret"]
)
async def test_nobody_else_is_read_whatever_is_asked(prometheus: PrometheusServer, expression: str) -> None:
    world = World(prometheus, query={"expressions": [{"metric": "loss", "expression": expression}]})
    world.tells("something 1")
    assert prometheus.ask("query", query="secret")["result"]
    world.ends()
    looked = await world.until(lambda looked: looked.complete)
    assert (looked.report, looked.trouble) == (None, "")


async def test_an_expression_of_the_study(prometheus: PrometheusServer) -> None:
    query = {"expressions": [{"metric": "loss", "expression": "sum(power) / 2"}], "step": "epoch"}
    world = World(prometheus, query=query)
    world.tells('power{gpu="0"} 100\npower{gpu="1"} 50\nepoch 7')
    world.runs()
    looked = await world.until(lambda looked: looked.report)
    assert looked.report is not None
    assert (looked.report.step, looked.report.final) == (7, {"loss": 75.0})


async def test_two_series_are_an_error_that_names_them(prometheus: PrometheusServer) -> None:
    world = World(prometheus)
    world.tells('loss{c="a"} 1\nloss{c="b"} 2')
    world.runs()
    looked = await world.until(lambda looked: looked.trouble)
    assert looked.report is None
    assert "2 series are loss, among them" in looked.trouble


async def test_what_the_server_refuses_is_said_in_its_words(prometheus: PrometheusServer) -> None:
    world = World(prometheus, query={"expressions": [{"metric": "loss", "expression": "rate(loss)"}]})
    world.runs()
    looked = await world.until(lambda looked: looked.trouble)
    assert "expected type range vector" in looked.trouble


# A study


@pytest.fixture(scope="module")
def plane() -> Iterator[ControlPlane]:
    with operated_plane() as cluster:
        yield cluster


def metrics_of(pod: Object) -> str:
    try:
        with urllib.request.urlopen(f"http://{pod['status']['podIP']}:9464/metrics", timeout=1) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


@pytest.fixture
def scraped(plane: ControlPlane, prometheus: PrometheusServer) -> Iterator[None]:
    """Prometheus sees what the cluster's pods expose."""
    over = threading.Event()

    def discover() -> None:
        while not over.wait(0.2):
            running = [pod for pod in plane.client.list("pods") if pod.get("status", {}).get("phase") == "Running"]
            prometheus.expose(
                {(pod["metadata"]["namespace"], pod["metadata"]["name"]): metrics_of(pod) for pod in running}
            )

    thread = threading.Thread(target=discover)
    thread.start()
    yield
    over.set()
    thread.join()


def test_a_study_whose_values_only_a_prometheus_knows(
    plane: ControlPlane, prometheus: PrometheusServer, scraped: None
) -> None:
    namespace = plane.new_namespace("query")
    study = a_study(
        "asked", trials=3, parallel=3, metrics={"query": {}, "intervalSeconds": 2},
        fidelity={"parameter": "epochs", "min": 1, "max": 6},
        scheduler={"name": "Median", "median": {"interval": 2, "startupTrials": 9}},
    )  # fmt: skip
    stranger = a_study("stranger", trials=1, parallel=1, metrics={"query": {"server": "http://elsewhere.test:9090"}})
    with FakeNode(plane, seconds=6, style="plain"), OperatorProcess(
        plane, extra=[f"--prometheus-server={prometheus.url}"]
    ):  # fmt: skip
        for each in (study, stranger):
            plane.client.create("tuningstudies", each, namespace)
        refused = until(
            plane, namespace, "stranger", "stalled", lambda s: s.get("status", {}).get("state") == "Stalled"
        )
        done = wait_for_state(plane, namespace, "asked", "Succeeded", "Failed", "Stalled")

    message = condition(refused, "Stalled")["message"]
    assert "spec.metrics.query.server: http://elsewhere.test:9090: the administrator does not allow it" in message
    assert trials(plane, namespace, "stranger") == []
    assert done["status"]["state"] == "Succeeded", done["status"]
    for trial in trials(plane, namespace, "asked"):
        result = trial["status"]["result"]
        assert result["step"] >= 4  # of 6, a second each: the last ones may go between two scrapes
        assert set(result["values"]) == {"loss"}
        assert 0 <= result["lastScrapeAgeSeconds"] <= 3 * INTERVAL + 2
