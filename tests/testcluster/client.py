"""A small synchronous Kubernetes client for tests: raw dicts in, raw dicts out, nothing hidden.

Deliberately not the client that the product uses, so that a test does not share its bugs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import urllib3

Object = dict[str, Any]
T = TypeVar("T")

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

KINDS = {
    "": {"namespaces", "nodes", "pods", "events", "secrets", "configmaps", "services", "serviceaccounts",
         "resourcequotas", "limitranges", "persistentvolumeclaims", "persistentvolumes"},
    "apps/v1": {"deployments", "replicasets", "statefulsets"},
    "batch/v1": {"jobs", "cronjobs"},
    "coordination.k8s.io/v1": {"leases"},
    "events.k8s.io/v1": {"events.events.k8s.io"},
    "rbac.authorization.k8s.io/v1": {"roles", "rolebindings", "clusterroles", "clusterrolebindings"},
    "apiextensions.k8s.io/v1": {"customresourcedefinitions"},
    "tuning.study/v1alpha1": {"tuningstudies", "tuningtrials"},
}  # fmt: skip


class ApiError(Exception):
    """The API server refused a request; `status` is the HTTP code, `reason` Kubernetes' own word for it."""

    def __init__(self, status: int, body: Object, request: str) -> None:
        super().__init__(f"{request}: {status} {body.get('reason', '')}: {body.get('message', body)}")
        self.status = status
        self.reason = str(body.get("reason", ""))
        self.body = body


@dataclass(frozen=True)
class Access:
    """How to reach an API server as somebody."""

    server: str
    ca: Path | None
    cert: Path | None = None
    key: Path | None = None
    token: str | None = None


class Client:
    """Requests as one user. Safe to use from several threads."""

    def __init__(self, access: Access, *, user_agent: str = "tests", timeout: float = 30) -> None:
        self.access = access
        self.timeout = timeout
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if access.token:
            self._headers["Authorization"] = f"Bearer {access.token}"
        self._pool = urllib3.PoolManager(
            maxsize=32,
            retries=False,
            ca_certs=str(access.ca) if access.ca else None,
            cert_file=str(access.cert) if access.cert else None,
            key_file=str(access.key) if access.key else None,
        )

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> Object:
        """One request to a path below the server's root; ApiError for any answer of 400 and up."""
        url = self.access.server + path + ("?" + urlencode(query) if query else "")
        headers = self._headers | ({"Content-Type": content_type} if body is not None else {})
        data = None if body is None else json.dumps(body).encode()
        answer = self._pool.request(method, url, body=data, headers=headers, timeout=self.timeout)
        parsed = _parse(answer.data)
        if answer.status >= 400:
            raise ApiError(answer.status, parsed, f"{method} {path}")
        return parsed

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object:
        return self.request("GET", path_of(resource, namespace, name))

    def find(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        """Like get, but None for what is not there."""
        try:
            return self.get(resource, name, namespace)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def list(self, resource: str, namespace: str | None = None, *, labels: str = "", fields: str = "") -> list[Object]:
        query = {"labelSelector": labels} if labels else {}
        query |= {"fieldSelector": fields} if fields else {}
        items: list[Object] = self.request("GET", path_of(resource, namespace), query=query)["items"]
        return items

    def create(self, resource: str, body: Object, namespace: str | None = None, *, dry_run: bool = False) -> Object:
        query = {"fieldValidation": "Strict"} | ({"dryRun": "All"} if dry_run else {})
        return self.request("POST", path_of(resource, namespace), body, query=query)

    def replace(self, resource: str, body: Object, namespace: str | None = None) -> Object:
        return self.request("PUT", path_of(resource, namespace, body["metadata"]["name"]), body)

    def patch(
        self,
        resource: str,
        name: str,
        body: object,
        namespace: str | None = None,
        *,
        subresource: str = "",
        content_type: str = MERGE_PATCH,
    ) -> Object:
        path = path_of(resource, namespace, name) + (f"/{subresource}" if subresource else "")
        return self.request("PATCH", path, body, content_type=content_type)

    def delete(self, resource: str, name: str, namespace: str | None = None, *, policy: str = "Background") -> None:
        self.request("DELETE", path_of(resource, namespace, name), {"propagationPolicy": policy})

    def watch(
        self, resource: str, namespace: str | None = None, *, since: str = "", labels: str = "", timeout: float = 30
    ) -> Iterator[Object]:
        """Events {type, object} until the server or the timeout ends the watch."""
        query = {"watch": "1", "timeoutSeconds": str(max(1, int(timeout)))}
        query |= ({"resourceVersion": since} if since else {}) | ({"labelSelector": labels} if labels else {})
        url = self.access.server + path_of(resource, namespace) + "?" + urlencode(query)
        limits = urllib3.Timeout(connect=self.timeout, read=timeout + 5)
        answer = self._pool.request("GET", url, headers=self._headers, timeout=limits, preload_content=False)
        try:
            if answer.status >= 400:
                raise ApiError(answer.status, _parse(answer.data), f"watch {resource}")
            rest = b""
            for chunk in answer.stream(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines)
        finally:
            answer.close()


def path_of(resource: str, namespace: str | None = None, name: str = "") -> str:
    """The path of a resource: its plural for the known ones, or `group/version/plural` for any."""
    version, _, plural = resource.rpartition("/")
    if not version:
        version = next((v for v, plurals in KINDS.items() if plural in plurals), "?")
    if version == "?":
        raise ValueError(f"unknown resource {resource!r}: write group/version/plural, e.g. apps/v1/deployments")
    root = f"/apis/{version}" if "/" in version else "/api/v1"
    where = f"/namespaces/{quote(namespace)}" if namespace else ""
    return f"{root}{where}/{plural.partition('.')[0]}" + (f"/{quote(name)}" if name else "")


def eventually(
    check: Callable[[], T | None], *, timeout: float = 30, interval: float = 0.05, what: str = "the condition"
) -> T:
    """The first truthy result of `check`; refusals and lost connections on the way count as not yet."""
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            last = result = check()
            if result:
                return result
        except (ApiError, urllib3.exceptions.HTTPError) as error:
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout:g} s; last seen: {last!r:.2000}")
        time.sleep(interval)


def _parse(data: bytes) -> Object:
    try:
        parsed = json.loads(data)
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"message": data.decode(errors="replace")}
