"""Strange trials, Jobs, objects of other kinds and pods through their readers, the store, and the decision on them.

The API server sees to types; nobody sees to what stands in labels, times, reasons and last words. Nothing crashes, and
whatever was seen: no more runs than are allowed, none of a trial with a result or of one that is not there, no result
over another, and all that would be written is what the schemas take.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache, partial
from typing import Any

from tests.fuzz import damage
from tests.fuzz.strict import complaint
from tests.sim.scenario import scenario
from tests.unit.cluster.builders import raw_job, raw_pod, raw_study, raw_trial, terminated
from tuning_operator.api.crd import study_schema, trial_schema
from tuning_operator.cluster.client import Kind
from tuning_operator.cluster.foreign import reading_of
from tuning_operator.cluster.gather import gather, holes
from tuning_operator.cluster.records import attempt_status, result_status, trial_body
from tuning_operator.cluster.seen import job_seen, object_seen, pod_seen, study_seen, trial_seen
from tuning_operator.cluster.specs import read_study
from tuning_operator.cluster.store import Known, Store
from tuning_operator.core.decide import decide
from tuning_operator.core.model import CreateTrial, Plan, RecordAttempt, RecordResult, Snapshot, StartRun
from tuning_operator.search.types import Suggestion
from tuning_operator.search.warmstart import Learned

NOW = 1769860800.0
"""A few minutes after all that happens here."""
REPORTS = (
    "", "killed", '{"v":1,"step":3,"final":{"accuracy":0.5},"done":true}',
    '{"v":1,"step":1,"final":{"accuracy":"NaN"}}',
    '{"v":1,"step":9,"final":{"loss":1e308},"rungs":{"1":{"accuracy":0.1},"3":{"accuracy":0.2}},"done":true}',
    '{"v":1,"step":2,"error":{"reason":"OutOfMemory","message":"x"}}', '{"v":2}',
)  # fmt: skip
STATES = ("Pending", "Queued", "Running", "Paused")
CONDITIONS = (
    'object.status.conditions.exists(c, c.type == "Complete" && c.status == "True")',
    'object.status.conditions.exists_one(c, c.type == "Failed")', "has(object.status.startTime)", "object.status.x > 1",
    'object.metadata.labels.all(l, l.startsWith("tuning"))', 'object.status.conditions[0].reason.matches("(a+)+$")',
    "object == object.status", "size(object.status.conditions) > 0 || object.spec.suspend",
)  # fmt: skip
object_read = partial(object_seen, kind=Kind("a.example", "v1", "sets"), suspend=("suspend",))
LOST = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}]


def one(rng: random.Random) -> Iterator[str]:
    store = Store()
    study = raw_study() | {"spec": scenario(rng.randrange(400)).spec}
    if rng.random() < 0.1:
        study["spec"] = study["spec"] | {"suspend": True}
    foreign = rng.random() < 0.3
    if foreign:
        study["spec"] = study["spec"] | {"trial": _a_trial(rng)}
    store.put(study_seen(study))
    for raw, read in _objects(rng, foreign=foreign):
        shown = _damaged(rng, raw) if rng.random() < 0.3 else raw
        if read is trial_seen and complaint(_schemas()["whole"], {key: shown[key] for key in ("spec", "status")}):
            continue  # the API server refuses it
        seen = read(shown)
        if seen is not None:
            store.put(seen)
    known = store.get(("ns", "digits"))
    assert known is not None
    yield from _decided(rng, known)


def _damaged(rng: random.Random, raw: dict[str, Any]) -> dict[str, Any]:
    """What the API server itself writes stays: names, versions, owners."""
    times = rng.choice((1, 1, 3))
    labels = damage.tree(rng, raw["metadata"]["labels"], times=rng.randrange(2), typed=True)
    parts = {key: damage.tree(rng, raw[key], times=times, typed=True) for key in ("spec", "status")}
    return raw | parts | {"metadata": raw["metadata"] | {"labels": labels}}


def _decided(rng: random.Random, known: Known) -> Iterator[str]:
    study, _, invalid = read_study(known.seen)
    if study is None:
        yield "refused"
        return
    known.study, known.invalid = study, invalid
    known.read_by(reading_of(study.spec))
    ready = {
        n: Suggestion({"x": 0.5}, by="TPE", known=0) for n in [*holes(known), *range(max(known.trials, default=-1) + 4)]
    }
    snapshot = gather(known, study, suggestions=ready, exhausted=rng.random() < 0.1, stuck=None, learned=Learned())
    plan = decide(snapshot, NOW + rng.choice((0.0, 1.0, 300.0, 1e5)))
    yield "acted" if plan.actions else "waited"
    yield from _starts(snapshot, plan)
    yield from _writes(snapshot, plan)


def _starts(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    ended = {trial.number for trial in snapshot.trials if trial.result is not None}
    ledger = {trial.number for trial in snapshot.trials}
    there = ledger | {a.number for a in plan.actions if isinstance(a, CreateTrial)}
    starts = [action for action in plan.actions if isinstance(action, StartRun)]
    recorded = [action.trial for action in plan.actions if isinstance(action, RecordResult)]
    live = sum(run.live for run in snapshot.runs)
    limits = snapshot.study.spec.limits
    if starts and live + len(starts) > max(live, limits.parallel + limits.queued) + 1:
        yield f"{len(starts)} starts beside {live} runs, where {limits.parallel}+{limits.queued} are allowed"
    if starts and (snapshot.study.spec.suspend or snapshot.invalid):
        yield "a start in a study that is suspended or invalid"
    for start in starts:
        if start.trial in ended or start.trial not in there or start.trial in recorded:
            yield f"start of {start.trial}"
        # What is left of a trial that was deleted has its name, and is in the way until it is gone.
        known = [run for run in snapshot.runs if run.trial in ledger]
        if any(run.trial == start.trial and run.attempt == start.attempt for run in known):
            yield f"a second run of attempt {start.attempt} of {start.trial}"
    if len(set(recorded)) < len(recorded) or ended & set(recorded):
        yield f"results of {recorded}"


def _writes(snapshot: Snapshot, plan: Plan) -> Iterator[str]:
    schemas = _schemas()
    found = complaint(schemas["study"], plan.status, "study.status")
    if found:
        yield found
    for action in plan.actions:
        status = None
        if isinstance(action, RecordAttempt):
            status = attempt_status(action)
        elif isinstance(action, RecordResult):
            status = result_status(action)
        elif isinstance(action, CreateTrial):
            found = complaint(schemas["spec"], trial_body(snapshot.study, action)["spec"], "trial.spec")
            if found:
                yield found
        if status is not None:
            found = complaint(schemas["trial"], status, "trial.status")
            if found:
                yield found


def _objects(rng: random.Random, *, foreign: bool) -> Iterator[tuple[dict[str, Any], Any]]:
    for number in range(rng.randrange(6)):
        if rng.random() < 0.05:
            continue  # a hole
        attempt = rng.choice((0, 0, 0, 1, 2))
        status: dict[str, Any] = {"state": rng.choice(STATES), "attempt": attempt, "retries": attempt}
        if rng.random() < 0.4:
            state = rng.choice(("Succeeded", "Failed", "Stopped"))
            values = {"accuracy": 0.5, "loss": 1.5}
            result = {"state": state, "reason": "Completed", "values": values, "metrics": values}
            status |= {"state": state, "result": result}
        if rng.random() < 0.3:
            status["rungs"] = [{"budget": 1, "attempt": 0, "values": {"accuracy": 0.4}}]
        trial = raw_trial(number, **status)
        trial["spec"] |= {"study": "digits", "role": rng.choice(("Search", "Search", "Search", "Confirm", "Final"))}
        yield trial, trial_seen
        for each in range(attempt + 1):
            if rng.random() < 0.8:
                yield _job(rng, number, each), object_read if foreign else job_seen
            for n in range(rng.choice((0, 1, 1, 1, 1)) * (rng.randrange(1, 4) if foreign else 1)):
                yield _part(_pod(rng, number, each), n) if foreign else _pod(rng, number, each), pod_seen


def _a_trial(rng: random.Random) -> dict[str, Any]:
    pod = {"spec": {"containers": [{"name": "main", "image": "x"}]}}
    said = {"successCondition": rng.choice(CONDITIONS), "failureCondition": rng.choice(CONDITIONS)}
    return {
        "accelerator": {"count": rng.randrange(3)},
        "template": {"apiVersion": "a.example/v1", "kind": "Set", "spec": {"template": pod}},
        "primaryPod": rng.choice(({"part": "0"}, {"part": "7"})),
    } | said


def _part(pod: dict[str, Any], n: int) -> dict[str, Any]:
    """One of the pods that a controller made for an object."""
    metadata = pod["metadata"] | {"name": f"{pod['metadata']['name']}-{n}", "uid": f"{pod['metadata']['uid']}-{n}"}
    labels = pod["metadata"]["labels"] | {"tuning.study/kind": "Set", "part": str(n)}
    owners = [{"uid": "controller", "kind": "Job", "controller": True}]
    return pod | {"metadata": metadata | {"labels": labels, "ownerReferences": owners}}


def _job(rng: random.Random, number: int, attempt: int) -> dict[str, Any]:
    how = rng.randrange(5)
    changes: dict[str, Any] = {
        0: {"condition": "Complete"},
        1: {"condition": "Failed", "reason": rng.choice(("DeadlineExceeded", "BackoffLimitExceeded"))},
        2: {"suspended": "2026-01-31T12:00:01Z"},
    }.get(how, {})
    return raw_job(number, attempt, deleting=rng.random() < 0.1, **changes)


def _pod(rng: random.Random, number: int, attempt: int) -> dict[str, Any]:
    phase = rng.choice(("Pending", "Running", "Succeeded", "Failed", "Failed", "Unknown"))
    code = 0 if phase == "Succeeded" else rng.choice((1, 2, 42, 75, 127, 137, 143))
    state = {
        "Pending": {"waiting": {"reason": rng.choice(("ContainerCreating", "ErrImagePull")), "message": "m"}},
        "Running": {"running": {"startedAt": "2026-01-31T12:00:00Z"}},
    }.get(phase, terminated(code, message=rng.choice(REPORTS), reason=rng.choice(("Error", "OOMKilled"))))
    lost = LOST if rng.random() < 0.1 else []
    return raw_pod(
        number, attempt, phase=phase, state=state, conditions=lost, deleting=rng.random() < 0.1, podIP="10.0.0.1"
    )


@cache
def _schemas() -> dict[str, dict[str, Any]]:
    study, trial = study_schema()["properties"], trial_schema()["properties"]
    whole = {"type": "object", "properties": {key: trial[key] for key in ("spec", "status")}}
    return {"study": study["status"], "trial": trial["status"], "spec": trial["spec"], "whole": whole}
