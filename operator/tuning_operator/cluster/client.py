"""Requests to the API server, with raw dicts and typed errors.

The transport is `kubernetes.aio` of the official package without its typed models, which drop unknown fields and cost
memory. Every write passes the gate first: whoever is not the leader writes nothing (P5). Retries are bounded, and only
of what may pass by itself: 429, 5xx, a lost connection. All writes of this operator are idempotent by name, so a
repeated one is safe.
"""

import asyncio
import json
import random
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

import aiohttp
from kubernetes.aio.client.rest import RESTClientObject

from tuning_operator.api import names
from tuning_operator.cluster import errors
from tuning_operator.cluster.connection import Connection

Object = dict[str, Any]

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
JSON: Final = "application/json"
METADATA: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource, as its address needs it."""

    group: str
    version: str
    plural: str

    def path(self, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
        parts = ["apis", self.group, self.version] if self.group else ["api", self.version]
        if namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/" + "/".join(quote(part, safe="") for part in parts)


STUDIES: Final = Kind(names.GROUP, names.VERSION, names.STUDY_PLURAL)
TRIALS: Final = Kind(names.GROUP, names.VERSION, names.TRIAL_PLURAL)
JOBS: Final = Kind("batch", "v1", "jobs")
PODS: Final = Kind("", "v1", "pods")
SERVICES: Final = Kind("", "v1", "services")
CONFIG_MAPS: Final = Kind("", "v1", "configmaps")
EVENTS: Final = Kind("events.k8s.io", "v1", "events")
LEASES: Final = Kind("coordination.k8s.io", "v1", "leases")


class Api(Protocol):
    """What the rest of the operator needs of an API server."""

    async def get(self, kind: Kind, namespace: str, name: str) -> Object: ...

    def pages(
        self, kind: Kind, namespace: str | None, *, labels: str = "", fields: str = "", only_metadata: bool = False
    ) -> AsyncGenerator[tuple[list[Object], int]]: ...

    async def create(self, kind: Kind, namespace: str, body: Object, *, dry_run: bool = False) -> Object: ...

    async def merge(
        self, kind: Kind, namespace: str, name: str, body: Object, *, subresource: str | None = None
    ) -> Object: ...

    async def apply(
        self, kind: Kind, namespace: str, name: str, body: Object, *, subresource: str | None = None
    ) -> Object: ...

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> Object: ...


@dataclass(frozen=True)
class Patience:
    """How long a request may take and how often it is repeated."""

    attempts: int = 4
    first_delay: float = 0.1
    max_delay: float = 5.0
    timeout: float = 30.0


class Client:
    """The real thing."""

    def __init__(
        self,
        connection: Connection,
        *,
        gate: Callable[[], None] = lambda: None,
        observe: Callable[[str, str, int], None] = lambda verb, plural, status: None,
        patience: Patience = Patience(),
    ) -> None:
        self._connection = connection
        self._gate = gate
        self._observe = observe
        self._patience = patience
        self._rest = RESTClientObject(connection.configuration)
        self._reloading = asyncio.Lock()
        self._timeout = aiohttp.ClientTimeout(total=patience.timeout, sock_connect=5)

    async def close(self) -> None:
        await self._rest.close()

    def ungated(self, patience: Patience) -> "Client":
        """For the lease alone, whose writes decide who is the leader: same server, own connection, own patience."""
        return Client(self._connection, observe=self._observe, patience=patience)

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        return await self._send("GET", kind, kind.path(namespace, name))

    async def discover(self, path: str) -> Object:
        """A document of discovery, such as `/apis/batch/v1`."""
        return await self._send("GET", None, path)

    async def pages(
        self, kind: Kind, namespace: str | None, *, labels: str = "", fields: str = "", only_metadata: bool = False
    ) -> AsyncGenerator[tuple[list[Object], int]]:
        """Objects page by page, each with the list's resource version. An expired continuation starts over."""
        query = {"limit": str(PAGE), "labelSelector": labels, "fieldSelector": fields}
        accept = METADATA if only_metadata else JSON
        proceed = ""
        for _ in range(100_000):
            words = {key: value for key, value in (query | {"continue": proceed}).items() if value}
            try:
                page = await self._send("GET", kind, kind.path(namespace) + "?" + urlencode(words), accept=accept)
            except errors.GoneError:
                if not proceed:
                    raise
                proceed = ""  # the reader sees objects twice, which it must bear anyway
                continue
            metadata = page.get("metadata", {})
            yield page.get("items") or [], int(metadata.get("resourceVersion") or 0)
            proceed = metadata.get("continue") or ""
            if not proceed:
                return

    async def collect(self, kind: Kind, namespace: str | None, *, labels: str = "", fields: str = "") -> list[Object]:
        items: list[Object] = []
        async with aclosing(self.pages(kind, namespace, labels=labels, fields=fields)) as pages:
            async for page, _ in pages:
                items += page
        return items

    async def log(
        self, namespace: str, pod: str, *, container: str, since: str = "", tail: int = 0, limit: int = 0
    ) -> AsyncGenerator[bytes]:
        """What a container has printed, each line with its time, in pieces. Not repeated: half of it may be used."""
        words = {"container": container, "timestamps": "true", "sinceTime": since}
        words |= {"tailLines": str(tail or ""), "limitBytes": str(limit or "")}
        path = PODS.path(namespace, pod, "log") + "?" + urlencode({key: value for key, value in words.items() if value})
        response = await self._respond("GET", PODS, path, None, content=JSON)
        try:
            if response.status >= 300:
                raise errors.from_answer(response.status, _parsed(await response.content.read(1 << 16)))
            async for piece in response.content.iter_chunked(1 << 16):
                yield piece
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise errors.UnavailableError(0, "Unreachable", f"GET {path}: {error!r}") from error
        finally:
            response.close()

    async def create(self, kind: Kind, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        """A dry run is strict: an unknown field is an error there."""
        query = "?dryRun=All&fieldValidation=Strict" if dry_run else ""
        return await self._send("POST", kind, kind.path(namespace) + query, body)

    async def replace(self, kind: Kind, namespace: str, name: str, body: Object) -> Object:
        return await self._send("PUT", kind, kind.path(namespace, name), body)

    async def merge(
        self, kind: Kind, namespace: str, name: str, body: Object, *, subresource: str | None = None
    ) -> Object:
        """A merge patch; with `metadata.resourceVersion` in the body it is refused if the object has changed."""
        query = "?" + urlencode({"fieldManager": names.FIELD_MANAGER})
        return await self._send(
            "PATCH", kind, kind.path(namespace, name, subresource) + query, body, content=MERGE_PATCH
        )

    async def apply(
        self, kind: Kind, namespace: str, name: str, body: Object, *, subresource: str | None = None
    ) -> Object:
        """Server-side apply: what we no longer say is removed, what others say stays."""
        query = "?" + urlencode({"fieldManager": names.FIELD_MANAGER, "force": "true"})
        return await self._send(
            "PATCH", kind, kind.path(namespace, name, subresource) + query, body, content=APPLY_PATCH
        )

    async def delete(self, kind: Kind, namespace: str, name: str, *, uid: str) -> Object:
        """In the foreground: the object stays, marked, until all that it owns is gone. Only the object of this uid."""
        body = {"preconditions": {"uid": uid}, "propagationPolicy": "Foreground"}
        return await self._send("DELETE", kind, kind.path(namespace, name), body)

    async def _send(
        self,
        method: str,
        kind: Kind | None,
        path: str,
        body: Object | None = None,
        *,
        content: str = JSON,
        accept: str = JSON,
    ) -> Object:
        patience = self._patience
        delay = patience.first_delay
        for attempt in range(1, patience.attempts + 1):
            if method != "GET":
                self._gate()
            try:
                return await self._once(method, kind, path, body, content=content, accept=accept)
            except errors.UnavailableError as error:
                if attempt == patience.attempts:
                    raise
                wait = error.retry_after if error.retry_after is not None else delay * (0.5 + random.random())
                await asyncio.sleep(min(wait, patience.max_delay))
                delay = min(patience.max_delay, delay * 2)
            except errors.UnauthorizedError:
                if attempt == patience.attempts or not await self._reload():
                    raise
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _once(
        self, method: str, kind: Kind | None, path: str, body: Object | None, *, content: str, accept: str
    ) -> Object:
        response = await self._respond(method, kind, path, body, content=content, accept=accept)
        try:
            data = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise errors.UnavailableError(0, "Unreachable", f"{method} {path}: {error!r}") from error
        if response.status < 300:
            answer: Object = json.loads(data)
            return answer
        raise errors.from_answer(response.status, _parsed(data), retry_after=_seconds(response.headers))

    async def _respond(
        self, method: str, kind: Kind | None, path: str, body: Object | None, *, content: str, accept: str = JSON
    ) -> aiohttp.ClientResponse:
        headers = {"Accept": accept, "Content-Type": content, "User-Agent": names.FIELD_MANAGER}
        authorization = await self._connection.authorization()
        if authorization:
            headers["Authorization"] = authorization
        plural = kind.plural if kind else "discovery"
        try:
            wrapped = await self._rest.request(
                method, self._connection.server + path, headers=headers, body=body, _request_timeout=self._timeout
            )
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._observe(method, plural, 0)
            raise errors.UnavailableError(0, "Unreachable", f"{method} {path}: {error!r}") from error
        response: aiohttp.ClientResponse = wrapped.response
        self._observe(method, plural, response.status)
        return response

    async def _reload(self) -> bool:
        """Read the credentials again after a 401; False if that was just done."""
        before = self._connection.configuration
        async with self._reloading:
            if self._connection.configuration is before:
                if self._connection.age < 1.0:
                    return False
                await self._connection.reload()
                old, self._rest = self._rest, RESTClientObject(self._connection.configuration)
                asyncio.get_running_loop().call_later(
                    self._patience.timeout, lambda: asyncio.ensure_future(old.close())
                )
        return True


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return data.decode(errors="replace")


def _seconds(headers: Mapping[str, str]) -> float | None:
    try:
        return float(headers["Retry-After"])
    except (KeyError, ValueError):
        return None
