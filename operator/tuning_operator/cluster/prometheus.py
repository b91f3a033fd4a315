"""`Query`: the operator asks a Prometheus server that the administrator allowed for the values of a trial's pod.

Each look asks for the curve since the look before (a query over a range), bound to the pod by its namespace and name.
After the end it waits for as long as the server may take to scrape (`metrics.intervalSeconds`), then asks for the rest.
Which servers may be asked, and with which credentials, is the installation's to say, never a study's.
"""

import ssl
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import aiohttp

from tuning_operator.api.promql import PromQLError, bound, quoted
from tuning_operator.api.sources import source_of
from tuning_operator.api.study import MetricsSource, QueryMetrics, StudySpec
from tuning_operator.cluster.collect import NoMoreError, Seen, Target
from tuning_operator.cluster.scrape import bounded
from tuning_operator.metrics.exposition import PREFIX, STEP, Scrape
from tuning_operator.metrics.promapi import Samples, samples

ANSWER_MAX: Final = 1 << 20
TIMEOUT: Final = aiohttp.ClientTimeout(total=15, sock_connect=3)
POINTS_MAX: Final = 2000
"""Of one answer: a trial that has run for long is asked about more coarsely after a restart of the operator."""
FINEST: Final = 1.0
"""Seconds between two points of a curve."""


@dataclass(frozen=True)
class Servers:
    """What the installation says about Prometheus servers."""

    allowed: Sequence[str] = ()
    """URLs; the first one is taken where a study names none."""
    credentials: Path | None = None
    """A directory; `token` in it is sent as bearer token, `ca.crt` is trusted. Both may be missing."""
    namespace_label: str = "namespace"
    pod_label: str = "pod"

    def problems(self, spec: StudySpec) -> tuple[str, ...]:
        """Why a study cannot be served by this installation."""
        if source_of(spec) is not MetricsSource.QUERY or self.server(spec.metrics.query) is not None:
            return ()
        if not self.allowed:
            return (
                "spec.metrics.source: Query: no Prometheus server is allowed in this installation; an administrator "
                "adds it to prometheus.servers of the chart, or take another source",
            )
        asked = spec.metrics.query.server if spec.metrics.query is not None else ""
        return (
            f"spec.metrics.query.server: {asked}: the administrator does not allow it; write one of: "
            f"{', '.join(self.allowed)}",
        )

    def server(self, query: QueryMetrics | None) -> str | None:
        """The URL to ask; None if there is none, or if it is not allowed."""
        allowed = {url.rstrip("/"): url for url in self.allowed}
        if query is None or query.server is None:
            return next(iter(allowed), None)
        asked = query.server.rstrip("/")
        return asked if asked in allowed else None

    def headers(self) -> dict[str, str]:
        """Read each time: tokens are rotated."""
        token = None if self.credentials is None else _text(self.credentials / "token")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def trust(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority = None if self.credentials is None else self.credentials / "ca.crt"
        if authority is not None and authority.is_file():
            context.load_verify_locations(authority)
        return context


class QueryReader:
    def __init__(self, session: aiohttp.ClientSession, servers: Servers) -> None:
        self._session = session
        self._servers = servers

    async def look(self, target: Target) -> Seen:
        pod, spec = target.pod, target.spec
        query = spec.metrics.query or QueryMetrics()
        server = self._servers.server(query)
        if server is None:
            raise NoMoreError("; ".join(self._servers.problems(spec)))
        now = time.time()
        begin = target.cursor or min(pod.started_at or pod.created_at, now)
        end = now if not pod.ended or pod.ended_at is None else min(now, pod.ended_at + self.grace(target))
        points = _points(begin, max(end, begin))
        expressions = self._expressions(target, query)
        found = {name: await self._ask(server, text, points, what=name) for name, text in expressions.items()}
        steps = found.pop(STEP)
        for at in sorted({at for series in found.values() for at in series}):
            target.live.add(
                Scrape(_step(steps.get(at)), {n: series[at] for n, series in found.items() if at in series})
            )
        target.cursor = max(end, begin)
        last = max((at for series in found.values() for at in series), default=None)
        return Seen(target.live.report(), None if last is None else await self._sampled_at(server, target, query, last))

    def grace(self, target: Target) -> float:
        return float(target.spec.metrics.interval_seconds)

    def _expressions(self, target: Target, query: QueryMetrics) -> dict[str, str]:
        """By metric, and one for the step; each reads the pod's series only."""
        given = {each.metric: each.expression for each in query.expressions}
        texts = {metric: given.get(metric) or _series(PREFIX + metric, metric) for metric in target.wanted}
        texts[STEP] = query.step or _series(STEP)
        try:
            return {name: bound(text, self._pod(target)) for name, text in texts.items()}
        except PromQLError as error:
            raise NoMoreError(f"its PromQL is not taken: {error}") from error

    def _pod(self, target: Target) -> dict[str, str]:
        identity, servers = target.pod.identity, self._servers
        return {servers.namespace_label: identity.namespace, servers.pod_label: identity.name}

    async def _sampled_at(self, server: str, target: Target, query: QueryMetrics, at: float) -> float | None:
        """When the server last scraped the first objective, where that can be asked: its own word, not ours."""
        metric = target.wanted[0]
        if not target.pod.ended or metric in {each.metric for each in query.expressions}:
            return None
        names = (PREFIX + metric, metric)
        text = " or ".join(f"timestamp({bound(_series(name), self._pod(target))})" for name in names)
        found = await self._ask(server, text, {"time": f"{at:.3f}"}, what=metric)
        return max(found.values(), default=None)

    async def _ask(self, server: str, expression: str, when: Mapping[str, str], *, what: str) -> Samples:
        kind = "query" if "time" in when else "query_range"
        address = f"{server}/api/v1/{kind}?" + urlencode({"query": expression, **when, "timeout": "10s"})
        headers = {"Accept": "application/json", **self._servers.headers()}
        async with self._session.get(address, headers=headers, allow_redirects=False) as response:
            if response.status != 200 and response.content_type != "application/json":
                raise ValueError(f"{server} answered {response.status}")
            body = await bounded(response, ANSWER_MAX)
        return samples(body, what=what)


def session(servers: Servers, at_once: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=at_once, ssl=servers.trust()),
        timeout=TIMEOUT,
        trust_env=False,
        headers={"User-Agent": "tuning-operator", "Accept-Encoding": "identity"},
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def _series(*names: str) -> str:
    """The first of these series that there is."""
    return " or ".join(f"{{__name__={quoted(name)}}}" for name in names)


def _points(begin: float, end: float) -> dict[str, str]:
    apart = max(FINEST, (end - begin) / POINTS_MAX)
    return {"start": f"{begin:.3f}", "end": f"{end:.3f}", "step": f"{apart:.3f}"}


def _step(value: float | None) -> int | None:
    return int(value) if value is not None and 0 <= value <= 2**53 else None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
