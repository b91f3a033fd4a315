"""One reconcile: what is asked for between what is known, what was decided and what was written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.cluster.builders import UID, a_spec, raw_study
from tuning_operator.cluster.act import Actor
from tuning_operator.cluster.capping import Capping
from tuning_operator.cluster.gather import holes
from tuning_operator.cluster.jobs import JobSettings
from tuning_operator.cluster.keyqueue import KeyQueue
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.policy import Policy
from tuning_operator.cluster.seen import study_seen
from tuning_operator.cluster.shares import Shares
from tuning_operator.cluster.store import Key, Known, Store
from tuning_operator.cluster.trial_kinds import TrialKinds
from tuning_operator.cluster.worker import Worker
from tuning_operator.search.lookahead import LookAhead

Object = dict[str, Any]
GRID = a_spec(
    algorithm={"name": "Grid"}, parameters=[{"name": "layers", "int": {"min": 1, "max": 3}}], limits={"parallel": 2}
)


class ApiServer:
    """Takes everything that is created."""

    async def create(self, kind: Any, namespace: str, body: Object, *, dry_run: bool = False) -> Object:
        body["metadata"] |= {"uid": f"uid of {body['metadata']['name']}", "resourceVersion": "7"}
        body["metadata"]["creationTimestamp"] = "2026-01-31T12:00:00Z"
        return body


class Nothing:
    """Where a reconcile has nothing to do in these tests."""

    def __getattr__(self, name: str) -> Any:
        async def nothing(*_: Any, **__: Any) -> Any:
            return None

        return nothing


@pytest.fixture
def lookahead() -> Iterator[LookAhead]:
    made = LookAhead()
    yield made
    made.close()


def a_worker(store: Store, lookahead: LookAhead) -> Worker:
    api: Any = ApiServer()
    stub: Any = Nothing()
    return Worker(
        store=store,
        queue=KeyQueue[Key](),
        lister=stub,
        actor=Actor(
            api, store, JobSettings("image"), now=time.time, meters=Meters(), policy=Policy(),
            trial_kinds=TrialKinds(()),
        ),
        statuses=stub,
        refusals=stub,
        lookahead=lookahead,
        teachers=stub,
        capping=Capping(Shares(Policy())),
        meters=Meters(),
    )  # fmt: skip


def a_known_study(store: Store) -> Known:
    store.put(study_seen(raw_study() | {"spec": GRID}))
    known = store.studies[("ns", "digits")]
    known.listed_at = time.monotonic()
    return known


async def test_points_of_trials_just_created_are_not_suggested_again(lookahead: LookAhead) -> None:
    """All slots may free before the next look; then they are filled with what was suggested here."""
    store = Store()
    known = a_known_study(store)
    worker = a_worker(store, lookahead)
    for _ in range(2):
        await worker._reconcile(known.key)
        assert lookahead.join(10)
    points = [made.parameters["layers"] for made in lookahead.ready(UID).values()]
    points += [seen.trial.suggestion.parameters["layers"] for seen in known.trials.values()]

    assert len(known.trials) == 2
    assert sorted(points) == [1, 2, 3]


async def test_what_a_deleted_trial_is_made_again_from_stays_ready_until_it_has_a_slot(lookahead: LookAhead) -> None:
    """Else it would be asked for at each look, and each answer is a reason to look."""
    store = Store()
    known = a_known_study(store)
    worker = a_worker(store, lookahead)
    for _ in range(2):
        await worker._reconcile(known.key)
        assert lookahead.join(10)
    store.remove(known.trials[0], at=time.time())
    known.listed_at = time.monotonic()
    for _ in range(3):
        await worker._reconcile(known.key)
        assert lookahead.join(10)
        assert holes(known) == [0]
        assert 0 in lookahead.ready(UID)
