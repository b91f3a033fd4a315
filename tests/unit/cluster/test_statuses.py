"""The study's status is written over the version that is known, and over no other."""

from __future__ import annotations

from typing import Any

from tests.unit.cluster.builders import raw_study
from tuning_operator.cluster.announce import Announcer
from tuning_operator.cluster.client import Kind
from tuning_operator.cluster.errors import ConflictError, NotFoundError
from tuning_operator.cluster.seen import study_seen
from tuning_operator.cluster.statuses import Statuses
from tuning_operator.cluster.store import Store

Object = dict[str, Any]
KEY = ("ns", "digits")


class ApiServer:
    """Holds one study, and takes what is applied to the version that it holds."""

    def __init__(self, study: Object | None) -> None:
        self.study = study

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        if self.study is None:
            raise NotFoundError(404, "NotFound", name)
        return self.study

    async def apply(self, kind: Kind, namespace: str, name: str, body: Object, *, subresource: str) -> Object:
        study = await self.get(kind, namespace, name)
        if body["metadata"].get("resourceVersion") != study["metadata"]["resourceVersion"]:
            raise ConflictError(409, "Conflict", "the object has been modified")
        version = str(int(study["metadata"]["resourceVersion"]) + 1)
        self.study = study | {"status": body["status"], "metadata": study["metadata"] | {"resourceVersion": version}}
        return self.study


def stage(*, known: int, stands: int | None) -> tuple[ApiServer, Store, Statuses]:
    """What is known of the study's version, and which one there is."""
    store = Store()
    store.put(study_seen(raw_study(version=known)))
    server = ApiServer(None if stands is None else raw_study(version=stands, state="Running"))
    api: Any = server
    return server, store, Statuses(api, store, Announcer(api, instance="one"))


async def test_the_version_that_is_known_is_written_over() -> None:
    server, store, statuses = stage(known=5, stands=5)
    assert await statuses.write(store.studies[KEY], {"state": "Failed"}, events=(), at_once=True) is None
    assert server.study is not None
    assert server.study["status"] == {"state": "Failed"}
    assert store.studies[KEY].seen.identity.version == 6


async def test_over_a_newer_version_it_is_decided_again() -> None:
    """Else a write that was given up, and is still under way, could come after a later one and stay."""
    server, store, statuses = stage(known=5, stands=7)
    wait = await statuses.write(store.studies[KEY], {"state": "Failed"}, events=(), at_once=True)
    assert wait is not None
    assert wait < 1
    assert server.study is not None
    assert server.study["status"] == {"state": "Running"}
    assert store.studies[KEY].seen.identity.version == 7
    assert await statuses.write(store.studies[KEY], {"state": "Failed"}, events=(), at_once=True) is None
    assert server.study["status"] == {"state": "Failed"}


async def test_a_study_that_is_no_more_is_forgotten() -> None:
    _, store, statuses = stage(known=5, stands=None)
    assert await statuses.write(store.studies[KEY], {"state": "Failed"}, events=(), at_once=True) is None
    assert store.get(KEY) is None
