"""The few requests that a node makes, by aiohttp. The user agent says what each is for, for the audit log."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.testcluster.access import read_kubeconfig

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


class NodeApi:
    """One API server as the node sees it."""

    def __init__(self, http: aiohttp.ClientSession, server: str, headers: dict[str, str]) -> None:
        self._http = http
        self._server = server
        self._headers = headers

    async def request(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        agent: str = "fake-node",
        content_type: str = "application/json",
    ) -> tuple[int, Object]:
        """The HTTP status and the answer, whatever it is."""
        headers = self._headers | {"User-Agent": agent, "Content-Type": content_type}
        async with self._http.request(method, self._server + path, json=body, headers=headers) as answer:
            try:
                return answer.status, await answer.json(content_type=None)
            except ValueError:
                return answer.status, {"message": await answer.text()}

    async def events(self, path: str) -> AsyncIterator[Object]:
        """The events of a watch, until the server ends it."""
        async with self._http.get(self._server + path, headers=self._headers | {"User-Agent": "fake-node"}) as answer:
            async for line in answer.content:
                yield json.loads(line)


@asynccontextmanager
async def connect(kubeconfig: str) -> AsyncIterator[NodeApi]:
    """Open a connection pool as the user of a kubeconfig."""
    access = read_kubeconfig(kubeconfig)
    tls = ssl.create_default_context(cafile=access.ca)
    if access.cert and access.key:
        tls.load_cert_chain(access.cert, access.key)
    headers = {"Authorization": f"Bearer {access.token}"} if access.token else {}
    connector = aiohttp.TCPConnector(ssl=tls, limit=200)
    no_limit = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, read_bufsize=1 << 24, timeout=no_limit) as http:
        yield NodeApi(http, access.server, headers)
