"""What a study on a cluster learns from, and that a restart learns the same."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.unit.cluster.builders import a_spec, raw_study, raw_trial
from tuning_operator.api.study import StudySpec
from tuning_operator.cluster.client import Api, Kind
from tuning_operator.cluster.errors import ForbiddenError, NotFoundError, UnavailableError
from tuning_operator.cluster.seen import study_seen, trial_seen
from tuning_operator.cluster.store import Store
from tuning_operator.cluster.warmstart import Teachers
from tuning_operator.core.model import Study
from tuning_operator.search.warmstart import Learned

BEFORE, CREATED, AFTER = "2026-01-31T11:00:00Z", "2026-01-31T12:00:00Z", "2026-01-31T12:00:01Z"


class Maps:
    """The API server's ConfigMaps, or its refusal."""

    def __init__(self, data: dict[str, str] | None = None, error: Exception | None = None) -> None:
        self.data, self.error = data, error

    async def get(self, kind: Kind, namespace: str, name: str) -> dict[str, Any]:
        assert (kind.plural, namespace) == ("configmaps", "ns")
        if self.error is not None:
            raise self.error
        return {"data": self.data}


def earlier(name: str, *, ended: str = BEFORE, created: str = BEFORE, **labels: str) -> list[dict[str, Any]]:
    """A study with one good trial."""
    study = raw_study(uid=f"uid-{name}")
    study["metadata"] |= {"name": name, "labels": labels, "creationTimestamp": created}
    result = {"state": "Succeeded", "reason": "Completed", "values": {"loss": 0.25}, "metrics": {"loss": 0.25}}
    trial = raw_trial(0, owner=f"uid-{name}", state="Succeeded", completionTime=ended, result=result)
    trial["metadata"]["labels"]["tuning.study/study-uid"] = f"uid-{name}"
    return [study, trial]


def taught(warm_start: list[dict[str, Any]], *others: list[dict[str, Any]], maps: Maps | None = None) -> Learned:
    store = Store()
    for study, trial in others:
        store.put(study_seen(study))
        seen = trial_seen(trial)
        assert seen is not None
        store.put(seen)
    store.put(study_seen(raw_study()))
    spec = StudySpec.model_validate(a_spec(warmStart=warm_start))
    api: Api = maps or Maps()  # type: ignore[assignment]
    known = store.studies["ns", "digits"]
    study_itself = Study("ns", "digits", known.uid, 1, spec, known.seen.created_at)
    return asyncio.run(Teachers(api, store).teach(known, study_itself))


FROM_OLD = [{"study": "old"}]
TABLE = [{"configMap": {"name": "table", "key": "trials.json"}}]


def test_a_study_of_the_namespace_teaches_its_results() -> None:
    learned = taught(FROM_OLD, earlier("old"))
    (observation,) = learned.observations
    assert (observation.number, dict(observation.parameters), observation.values) == (-1, {"lr": 0.01}, (0.25,))
    assert learned.notes == ("learned from 1 result of study old",)


@pytest.mark.parametrize(
    ("warm_start", "others", "note"),
    [
        pytest.param(FROM_OLD, [], "nothing learned from study old: there is no such study", id="no study"),
        pytest.param(
            FROM_OLD,
            [earlier("old", ended=CREATED)],
            "nothing learned from study old: none of its trials had ended well before this study was created",
            id="a trial that ended later would not be known after every restart",
        ),
        pytest.param([{"study": "digits"}], [], "nothing learned from study digits: that is this study", id="itself"),
        pytest.param(
            [{"selector": {"matchLabels": {"team": "b"}}}],
            [earlier("old", team="a")],
            "nothing learned from studies with team=b: it has no results",
            id="no study has the label",
        ),
    ],
)
def test_what_cannot_teach_says_why(warm_start: list[Any], others: list[list[Any]], note: str) -> None:
    learned = taught(warm_start, *others)
    assert learned.observations == ()
    assert learned.notes[0].startswith(note)


def test_studies_are_chosen_by_label_and_only_older_ones() -> None:
    learned = taught(
        [{"selector": {"matchLabels": {"team": "a"}}}],
        earlier("one", team="a"),
        earlier("two", team="a", kind="x"),
        earlier("three", team="b"),
        earlier("later", team="a", created=AFTER),
    )
    assert len(learned.observations) == 2
    assert learned.notes == ("learned from 1 result of study one", "learned from 1 result of study two")


def test_a_table_in_a_config_map() -> None:
    table = json.dumps([{"parameters": {"lr": 0.05}, "values": {"loss": 0.5}}])
    learned = taught(TABLE, maps=Maps({"trials.json": table}))
    assert [observation.values for observation in learned.observations] == [(0.5,)]


@pytest.mark.parametrize(
    ("maps", "note"),
    [
        pytest.param(Maps(error=NotFoundError(404, "NotFound", "")), "there is none of this name", id="no ConfigMap"),
        pytest.param(Maps(error=ForbiddenError(403, "Forbidden", "no")), "the operator may not read it", id="no right"),
        pytest.param(Maps({}), "it has no key trials.json", id="no such key"),
        pytest.param(Maps({"trials.json": "lr=0.1"}), "trials.json: ", id="no table"),
    ],
)
def test_a_config_map_that_cannot_be_used_says_why(maps: Maps, note: str) -> None:
    learned = taught(TABLE, maps=maps)
    assert learned.observations == ()
    assert note in learned.notes[0]


def test_an_api_server_that_is_away_is_asked_again() -> None:
    with pytest.raises(UnavailableError):
        taught(TABLE, maps=Maps(error=UnavailableError(503, "", "")))
