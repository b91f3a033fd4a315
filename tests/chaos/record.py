"""What really happened, in the order in which it happened: every revision that etcd committed.

An API server that is killed takes the end of its audit log along, and what it had committed is then in no log at all.
etcd forgets nothing but what it is asked to compact, and numbers everything. The record follows it live, by the JSON
gateway of its watch, and goes on from the last number after etcd was killed. A control plane must be started with
`RECORDABLE`: its values stored as JSON, and its audit log with the answers to writes.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import urllib3

from tests.testcluster.client import eventually
from tests.testcluster.control_plane import Options

Object = dict[str, Any]

RECORDABLE = Options(audit="Responses", apiserver_args=("--storage-media-type=application/json",))
ALL = base64.b64encode(b"\0").decode()
"""As key and as end of the range: every key there is, so that every number is heard of."""
KINDS = {
    "tuning.study/tuningstudies": "tuningstudies",
    "tuning.study/tuningtrials": "tuningtrials",
    "jobs": "jobs",
    "pods": "pods",
    "leases": "leases",
}


@dataclass(frozen=True, slots=True)
class Revision:
    """One committed write of one object; `value` is None where it was deleted."""

    number: int
    at: float
    """When it was heard of."""
    kind: str
    namespace: str
    name: str
    created: bool
    value: Object | None


class Record:
    """Start it before anything happens, or `from_now` on; `stop` when all is quiet."""

    def __init__(self, etcd: str, *, from_now: bool = False) -> None:
        self._etcd = etcd
        self._pool = urllib3.PoolManager(retries=False)
        self._lock = threading.Lock()
        self._revisions: list[Revision] = []
        self._heard = self._current() if from_now else 0
        self._lost = ""
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="record", daemon=True)
        self._thread.start()

    def revisions(self) -> list[Revision]:
        """All so far."""
        if self._lost:
            raise RuntimeError(f"the record has a gap: {self._lost}")
        with self._lock:
            return list(self._revisions)

    def catch_up(self, timeout: float = 30) -> int:
        """Wait until everything that is committed now has been heard; its number."""
        now = self._current()
        eventually(lambda: self._heard >= now, timeout=timeout, what=f"revision {now} is heard ({self._heard})")
        return now

    def compact(self) -> int:
        """Have etcd forget the past, of which the record has everything; the number up to which."""
        number = self.catch_up()
        self._ask("/v3/kv/compaction", {"revision": str(number)})
        return number

    def stop(self) -> None:
        self._stopped.set()

    def _current(self) -> int:
        answer = self._ask("/v3/kv/range", {"key": ALL, "range_end": ALL, "limit": "1", "keys_only": True})
        return int(answer["header"]["revision"])

    def _ask(self, path: str, body: Object) -> Object:
        answer = self._pool.request("POST", self._etcd + path, body=json.dumps(body).encode(), timeout=10)
        if answer.status != 200:
            raise RuntimeError(f"etcd, {path}: {answer.status} {answer.data[:300]!r}")
        return dict(json.loads(answer.data))

    def _follow(self) -> None:
        while not self._stopped.is_set():
            try:
                for answer in self._answers(self._heard + 1):
                    if self._stopped.is_set():
                        return
                    self._take(answer.get("result", {}))
            except (urllib3.exceptions.HTTPError, OSError, ValueError):
                pass  # etcd is away
            time.sleep(0.1)

    def _answers(self, since: int) -> Iterator[Object]:
        wish = {"key": ALL, "range_end": ALL, "start_revision": str(since)}
        limits = urllib3.Timeout(connect=5, read=None)
        body = json.dumps({"create_request": wish}).encode()
        answer = self._pool.request("POST", f"{self._etcd}/v3/watch", body=body, timeout=limits, preload_content=False)
        try:
            rest = b""
            for chunk in answer.stream(1 << 16):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (json.loads(line) for line in lines if line)
        finally:
            answer.close()

    def _take(self, result: Object) -> None:
        if int(result.get("compact_revision") or 0) > self._heard + 1:
            self._lost = f"etcd has compacted up to {result['compact_revision']}, heard was {self._heard}"
        now = time.time()
        with self._lock:
            for event in result.get("events", ()):
                revision = _revision(event, now)
                if revision is not None:
                    self._revisions.append(revision)
                self._heard = max(self._heard, int(event["kv"]["mod_revision"]))


def _revision(event: Object, now: float) -> Revision | None:
    pair = event["kv"]
    key = base64.b64decode(pair["key"]).decode().removeprefix("/registry/")
    stem, _, name = key.rpartition("/")
    stem, _, namespace = stem.rpartition("/")
    kind = KINDS.get(stem)
    if kind is None:
        return None
    number = int(pair["mod_revision"])
    deleted = event.get("type") == "DELETE"
    value = None if deleted else json.loads(base64.b64decode(pair["value"]))
    created = not deleted and pair["create_revision"] == pair["mod_revision"]
    return Revision(number, now, kind, namespace, name, created, value)
