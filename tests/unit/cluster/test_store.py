"""The store never goes back, says what is news, and drops what cannot matter any more."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.unit.cluster.builders import raw_job, raw_pod, raw_study, raw_trial, terminated
from tuning_operator.cluster.client import JOBS, TRIALS
from tuning_operator.cluster.seen import JobSeen, PodSeen, TrialSeen, job_seen, pod_seen, study_seen, trial_seen
from tuning_operator.cluster.store import Known, Looked, Store

KEY = ("ns", "digits")
RESULT = {"state": "Succeeded", "reason": "Completed", "values": {"loss": 0.5}}


def a_store(*, forgotten: list[Known] | None = None) -> Store:
    gone = [] if forgotten is None else forgotten
    store = Store(on_forget=gone.append)
    store.put(study_seen(raw_study()))
    return store


def trial(*args: Any, **kwargs: Any) -> TrialSeen:
    seen = trial_seen(raw_trial(*args, **kwargs))
    assert seen is not None
    return seen


def job(*args: Any, **kwargs: Any) -> JobSeen:
    seen = job_seen(raw_job(*args, **kwargs))
    assert seen is not None
    return seen


def pod(*args: Any, **kwargs: Any) -> PodSeen:
    seen = pod_seen(raw_pod(*args, **kwargs))
    assert seen is not None
    return seen


def of(store: Store) -> Known:
    return store.studies[KEY]


def test_an_object_never_goes_back_to_an_older_version() -> None:
    store = a_store()
    assert store.put(trial(0, version=5, state="Running")) == KEY
    assert store.put(trial(0, version=4)) is None
    assert store.put(trial(0, version=5)) is None
    assert str(of(store).trials[0].trial.recorded_state) == "Running"


def test_only_what_changed_is_news() -> None:
    store = a_store()
    assert store.put(job(version=1)) == KEY
    assert store.put(job(version=2)) is None
    assert store.put(job(version=3, deleting=True)) == KEY
    assert store.put(study_seen(raw_study(version=9))) is None
    assert store.put(study_seen(raw_study(version=10, state="Running"))) == KEY


def test_objects_of_a_study_that_is_not_known_are_passed_over() -> None:
    assert Store().put(trial(0)) is None


def test_a_study_re_created_under_its_name_starts_from_nothing() -> None:
    forgotten: list[Known] = []
    store = a_store(forgotten=forgotten)
    store.put(trial(0))
    assert store.put(study_seen(raw_study(uid="new", version=7))) == KEY
    assert (of(store).uid, of(store).trials) == ("new", {})
    assert [known.uid for known in forgotten] == ["study-uid"]
    assert store.put(study_seen(raw_study(version=6))) is None
    assert store.put(trial(0, version=8)) is None


def test_ended_runs_of_a_recorded_trial_are_dropped_once_their_job_has_ended_too() -> None:
    store = a_store()
    for seen in (trial(0), job(), pod(phase="Succeeded", state=terminated(0))):
        store.put(seen)
    store.put(trial(0, version=2, result=RESULT))
    assert (len(of(store).jobs), len(of(store).pods)) == (1, 1)  # the Job has not ended: it would look as if it waited
    store.put(job(version=3, condition="Complete"))
    assert (len(of(store).jobs), len(of(store).pods)) == (0, 0)
    assert store.put(pod(version=9, phase="Succeeded", state=terminated(0))) is None
    assert of(store).pods == {}


def test_a_live_run_of_a_recorded_trial_stays_known_until_it_is_gone() -> None:
    store = a_store()
    for seen in (trial(0, result=RESULT), job(), pod(phase="Running")):
        store.put(seen)
    assert (len(of(store).jobs), len(of(store).pods)) == (1, 1)
    store.remove(pod(version=4, phase="Failed", state=terminated(143), deleting=True), at=1.0)
    store.remove(job(version=5, deleting=True), at=1.0)
    assert (len(of(store).jobs), len(of(store).pods)) == (0, 0)


def test_last_words_of_a_deleted_pod_are_kept_until_its_trial_is_recorded() -> None:
    store = a_store()
    store.put(trial(0))
    store.put(pod(phase="Running"))
    last = pod(version=4, phase="Failed", state=terminated(42), deleting=True)
    assert store.remove(last, at=1.0) == KEY
    assert store.remove(last, at=2.0) is None
    (kept,) = of(store).pods.values()
    assert (kept.gone, kept.ended, kept.exit_code) == (True, True, 42)
    store.put(trial(0, version=9, result=RESULT))
    assert of(store).pods == {}


def test_after_a_list_what_is_missing_and_not_newer_is_gone() -> None:
    store = a_store()
    for seen in (trial(0), trial(1, version=8), job(0), job(1, version=9)):
        store.put(seen)
    for kind in (TRIALS, JOBS):
        assert store.settle(of(store), {trial(0).identity.uid}, kind=kind, numbers=None, version=8, at=1.0)
    assert list(of(store).trials) == [0]
    assert list(of(store).jobs) == ["digits-1-0"]  # created after the list was taken


@pytest.mark.parametrize("how", ["event", "list"])
def test_late_news_of_what_is_gone_do_not_bring_it_back(how: str) -> None:
    """The answer to a write, or a list, that was under way when it was deleted."""
    store = a_store()
    store.put(trial(0, version=5))
    if how == "event":
        store.remove(trial(0, version=9), at=1.0)
    else:
        store.settle(of(store), (), kind=TRIALS, numbers=None, version=9, at=1.0)
    assert store.put(trial(0, version=8, result=RESULT)) is None
    assert of(store).trials == {}
    assert store.put(trial(0, uid="again", version=10)) == KEY


def test_a_list_of_some_trials_says_nothing_of_the_others() -> None:
    store = a_store()
    for number in range(3):
        store.put(trial(number))
    store.settle(of(store), (), kind=TRIALS, numbers=frozenset({1}), version=9, at=1.0)
    assert list(of(store).trials) == [0, 2]


def test_a_deleted_study_is_forgotten_unless_it_was_another_one() -> None:
    store = a_store()
    assert store.remove(study_seen(raw_study(uid="old", version=9)), at=1.0) == KEY
    assert store.get(KEY) is not None
    store.remove(study_seen(raw_study(version=9)), at=1.0)
    assert store.get(KEY) is None


def test_a_trial_that_is_queued_again_begins_anew_with_its_next_pod() -> None:
    store = a_store()
    for seen in (trial(0, state="Running"), job(suspended="2026-01-31T12:00:00Z"), pod(version=3, phase="Running")):
        store.put(seen)
    store.remove(pod(version=4, phase="Failed", state=terminated(143), deleting=True), at=1.0)
    of(store).looked[0, 0] = Looked(complete=True)
    assert of(store).pods

    store.put(trial(0, version=5, state="Queued"))

    assert not of(store).pods
    assert not of(store).looked[0, 0].complete


def test_before_a_trial_that_is_gone_is_made_again_its_study_is_read() -> None:
    store, gone = a_store(), trial(0)
    store.put(gone)
    found = store.studies[KEY]
    found.listed_at = 1e9
    store.remove(gone, at=0.0)
    assert found.listed_at == -math.inf
