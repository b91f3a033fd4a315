"""The client against a server at the HTTP edge: retries, errors, fresh tokens, the gate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from tuning_operator.cluster.client import JOBS, PODS, STUDIES, Client, Patience
from tuning_operator.cluster.connection import Connection, NoConnectionError, Source
from tuning_operator.cluster.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    UnauthorizedError,
    UnavailableError,
)
from tuning_operator.cluster.lease import NotLeaderError

Answer = tuple[int, Any] | tuple[int, Any, dict[str, str]]
QUICK = Patience(attempts=3, first_delay=0.01, max_delay=0.05, timeout=2)


class Server:
    """Answers in the order given, then 200; remembers what was asked."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.asked: list[web.Request] = []
        self.bodies: list[Any] = []

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(request)
        text = await request.text()
        self.bodies.append(json.loads(text) if text else None)
        status, body, *headers = self.answers.pop(0) if self.answers else (200, {"ok": True})
        return web.json_response(body, status=status, headers=headers[0] if headers else None)


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, str]]:
    ours = Server()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", ours.handle)
    running = TestServer(app)
    await running.start_server()
    yield ours, str(running.make_url("")).rstrip("/")
    await running.close()


@pytest.fixture
def kubeconfig(tmp_path: Path, server: tuple[Server, str]) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "clusters": [{"name": "c", "cluster": {"server": server[1]}}],
                "users": [{"name": "u", "user": {"tokenFile": str(tmp_path / "token")}}],
            }
        )
    )
    (tmp_path / "token").write_text("first")
    return path


@pytest.fixture
async def client(kubeconfig: Path) -> AsyncIterator[Client]:
    made = Client(await Connection.open(Source(str(kubeconfig))), patience=QUICK)
    yield made
    await made.close()


def status(code: int, reason: str, message: str = "said") -> tuple[int, dict[str, Any]]:
    return code, {"kind": "Status", "code": code, "reason": reason, "message": message}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(404, "NotFound"), NotFoundError),
        (status(409, "AlreadyExists"), AlreadyExistsError),
        (status(409, "Conflict"), ConflictError),
        (status(403, "Forbidden"), ForbiddenError),
        (status(422, "Invalid"), InvalidError),
        (status(400, "BadRequest"), InvalidError),
    ],
)
async def test_a_refusal_is_an_error_of_its_kind_and_not_repeated(
    server: tuple[Server, str], client: Client, answer: Answer, error: type[Exception]
) -> None:
    server[0].answers = [answer]
    with pytest.raises(error, match="said"):
        await client.create(JOBS, "ns", {})
    assert len(server[0].asked) == 1


@pytest.mark.parametrize("code", [429, 500, 503, 504])
async def test_what_may_pass_is_tried_again_a_few_times(server: tuple[Server, str], client: Client, code: int) -> None:
    server[0].answers = [(code, {}), (code, {})]
    assert await client.create(JOBS, "ns", {}) == {"ok": True}
    server[0].answers = [(code, {})] * 3
    with pytest.raises(UnavailableError):
        await client.get(STUDIES, "ns", "x")
    assert len(server[0].asked) == 6


async def test_the_server_says_when_to_come_again(server: tuple[Server, str], kubeconfig: Path) -> None:
    patience = Patience(attempts=2, first_delay=0.0, max_delay=5, timeout=5)
    client = Client(await Connection.open(Source(str(kubeconfig))), patience=patience)
    server[0].answers = [(429, {}, {"Retry-After": "1"})]
    began = asyncio.get_running_loop().time()
    await client.get(STUDIES, "ns", "x")
    assert asyncio.get_running_loop().time() - began >= 1
    await client.close()


async def test_an_expired_token_is_read_again(
    server: tuple[Server, str], client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "age", 100.0)
    (tmp_path / "token").write_text("second")
    server[0].answers = [status(401, "Unauthorized")]
    await client.get(STUDIES, "ns", "x")
    assert [request.headers["Authorization"] for request in server[0].asked] == ["Bearer first", "Bearer second"]


async def test_a_token_that_was_just_read_is_not_read_forever(server: tuple[Server, str], client: Client) -> None:
    server[0].answers = [status(401, "Unauthorized")] * 9
    with pytest.raises(UnauthorizedError):
        await client.get(STUDIES, "ns", "x")
    assert len(server[0].asked) == 1


@pytest.fixture
def nobody(kubeconfig: Path) -> Path:
    text = json.loads(kubeconfig.read_text())
    text["clusters"][0]["cluster"]["server"] = "http://127.0.0.1:1"
    kubeconfig.write_text(json.dumps(text))
    return kubeconfig


async def test_nobody_there_is_unavailable(nobody: Path) -> None:
    client = Client(await Connection.open(Source(str(nobody))), patience=QUICK)
    with pytest.raises(UnavailableError, match="Unreachable"):
        await client.get(STUDIES, "ns", "x")
    await client.close()


async def test_pages_are_followed_and_an_expired_continuation_starts_over(
    server: tuple[Server, str], client: Client
) -> None:
    def page(name: str, proceed: str = "") -> Answer:
        return 200, {"metadata": {"resourceVersion": "7", "continue": proceed}, "items": [{"name": name}]}

    server[0].answers = [page("a", "next"), status(410, "Expired"), page("a", "again"), page("b")]
    assert [item["name"] for item in await client.collect(PODS, None, labels="x=y")] == ["a", "a", "b"]
    assert server[0].asked[0].query["labelSelector"] == "x=y"
    assert [request.query.get("continue") for request in server[0].asked] == [None, "next", None, "again"]


@pytest.mark.parametrize(
    "write",
    [
        lambda client: client.create(JOBS, "ns", {}),
        lambda client: client.merge(JOBS, "ns", "x", {}),
        lambda client: client.apply(STUDIES, "ns", "x", {}, subresource="status"),
        lambda client: client.delete(JOBS, "ns", "x", uid="u"),
    ],
)
async def test_without_the_lease_nothing_is_sent_but_reads(
    server: tuple[Server, str], kubeconfig: Path, write: Callable[[Client], Awaitable[Any]]
) -> None:
    def closed() -> None:
        raise NotLeaderError("closed")

    client = Client(await Connection.open(Source(str(kubeconfig))), gate=closed, patience=QUICK)
    with pytest.raises(NotLeaderError):
        await write(client)
    await client.get(STUDIES, "ns", "x")
    assert [request.method for request in server[0].asked] == ["GET"]
    await client.close()


async def test_a_write_that_is_repeated_passes_the_gate_again(server: tuple[Server, str], kubeconfig: Path) -> None:
    passes = 0

    def gate() -> None:
        nonlocal passes
        passes += 1
        if passes > 1:
            raise NotLeaderError("lost meanwhile")

    client = Client(await Connection.open(Source(str(kubeconfig))), gate=gate, patience=QUICK)
    server[0].answers = [(503, {})] * 3
    with pytest.raises(NotLeaderError):
        await client.create(JOBS, "ns", {})
    assert len(server[0].asked) == 1
    await client.close()


async def test_a_delete_is_of_one_object_only_and_waits_for_its_pods(
    server: tuple[Server, str], client: Client
) -> None:
    await client.delete(JOBS, "ns", "x", uid="u")
    assert server[0].bodies == [{"preconditions": {"uid": "u"}, "propagationPolicy": "Foreground"}]


def test_a_pod_uses_its_service_account_and_a_person_the_kubeconfig(tmp_path: Path) -> None:
    assert Source.find("/my/config").kubeconfig == "/my/config"
    assert Source.find(None, environ={"KUBECONFIG": "/env/config"}).kubeconfig == "/env/config"


async def test_no_way_to_a_server_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(NoConnectionError, match="--kubeconfig"):
        await Connection.open(Source(str(tmp_path / "missing")))


@pytest.mark.parametrize("kind", ["all", "missing", "cut off"])
async def test_a_log_comes_in_pieces_or_not_at_all(kubeconfig: Path, kind: str) -> None:
    asked: list[web.Request] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request)
        if kind == "missing":
            return web.json_response({"reason": "NotFound", "message": "gone"}, status=404)
        if kind == "all":
            return web.Response(body=b"x" * 200_000)
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"half")
        assert request.transport is not None
        request.transport.close()
        return response

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    server = TestServer(app)
    await server.start_server()
    connection = await Connection.open(Source(str(kubeconfig)))
    connection.configuration.host = str(server.make_url("")).rstrip("/")
    made, body = Client(connection, patience=QUICK), b""
    error = {"all": None, "missing": NotFoundError, "cut off": UnavailableError}[kind]
    try:
        async for piece in made.log("ns", "p", container="main", since="2026-01-31T12:00:00Z", limit=9):
            body += piece
        assert error is None
        assert body == b"x" * 200_000
    except (NotFoundError, UnavailableError) as raised:
        assert type(raised) is error
    finally:
        await made.close()
        await server.close()
    (request,) = asked
    assert request.path == "/api/v1/namespaces/ns/pods/p/log"
    assert dict(request.query) == {
        "container": "main", "timestamps": "true", "sinceTime": "2026-01-31T12:00:00Z", "limitBytes": "9"
    }  # fmt: skip
