"""What the API server's audit log says of writes whose client was killed before the answer."""

from __future__ import annotations

from typing import Any

from tests.audit_history import history
from tests.history import TrialCreated, TrialRecorded

Event = dict[str, Any]


def an_event(verb: str, second: int, *, code: int, subresource: str = "", body: Event) -> Event:
    ref = {"resource": "tuningtrials", "namespace": "ns", "name": "s-0", "subresource": subresource}
    return {
        "verb": verb,
        "objectRef": ref,
        "requestObject": body,
        "requestURI": "/",
        "responseStatus": {"code": code},
        "stageTimestamp": f"2026-01-01T00:00:{second:02d}.000000Z",
        "user": {"username": "one"},
        "userAgent": "tuning-operator/1",
    }


def a_create(second: int, *, code: int) -> Event:
    body = {"metadata": {"name": "s-0"}, "spec": {"number": 0, "study": "s"}}
    return an_event("create", second, code=code, body=body)


def a_record(second: int) -> Event:
    return an_event("patch", second, code=200, subresource="status", body={"status": {"state": "Running"}})


def kinds(*events: Event) -> list[tuple[type, float]]:
    facts = history(events, namespace="ns")
    return [(type(fact), fact.at % 60) for fact in facts]


def test_a_create_that_was_cut_off_counts_when_the_object_is_written_later() -> None:
    assert kinds(a_create(1, code=504), a_record(2)) == [(TrialCreated, 1), (TrialRecorded, 2)]


def test_it_does_not_when_the_object_had_to_be_created_again() -> None:
    assert kinds(a_create(1, code=504), a_create(2, code=201), a_record(3)) == [(TrialCreated, 2), (TrialRecorded, 3)]


def test_it_does_not_when_nothing_shows_the_object() -> None:
    assert kinds(a_create(1, code=504)) == []


def test_a_refused_write_never_counts() -> None:
    assert kinds(a_create(1, code=201), a_create(2, code=409), a_record(3)) == [(TrialCreated, 1), (TrialRecorded, 3)]
