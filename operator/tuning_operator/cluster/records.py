"""What we write of trials, as JSON: the mirror of `seen.py`. Pure."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from tuning_operator.api import names
from tuning_operator.cluster.jobs import labels, owner_reference
from tuning_operator.core.model import CreateTrial, RecordAttempt, RecordResult, Replicate, Result, Rung, Study
from tuning_operator.core.naming import trial_name
from tuning_operator.core.times import timestamp

Object = dict[str, Any]


def trial_body(study: Study, action: CreateTrial) -> Object:
    suggestion = action.suggestion
    record: Object = {"by": suggestion.by[:63], "known": suggestion.known}
    if suggestion.reason:
        record["reason"] = suggestion.reason[:256]
    for name in ("generation", "parent", "expected"):
        value = getattr(suggestion, name)
        if value is not None and math.isfinite(value):
            record[name] = value
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.TRIAL_KIND,
        "metadata": {
            "name": trial_name(study.name, study.uid, action.number),
            "namespace": study.namespace,
            "labels": labels(study, number=action.number),
            "ownerReferences": [owner_reference(names.STUDY_KIND, name=study.name, uid=study.uid)],
        },
        "spec": {
            "study": study.name,
            "number": action.number,
            "role": action.role.value,
            "parameters": dict(suggestion.parameters),
            "suggestion": record,
        },
    }


def attempt_status(action: RecordAttempt) -> Object:
    return {"state": action.state.value} | _spent(action)


def result_status(action: RecordResult) -> Object:
    """With the result, all that the attempts before it cost."""
    return (
        {"state": action.result.state.value}
        | _spent(action)
        | {"completionTime": timestamp(action.ended_at), "result": _result(action.result)}
    )


def _spent(action: RecordAttempt | RecordResult) -> Object:
    status: Object = {
        "attempt": action.attempt,
        "retries": action.retries,
        "disruptions": action.disruptions,
        "acceleratorSeconds": round(action.accelerator_seconds, 3),
    }
    if action.started_at is not None:
        status["startTime"] = timestamp(action.started_at)
    # A list is written whole or not at all; where it is left out, what stands goes on standing.
    if action.rungs:
        status["rungs"] = _rungs(action.rungs)
    if action.replicates:
        status["replicates"] = _replicates(action.replicates)
    return status


def _rungs(rungs: Sequence[Rung]) -> list[Object]:
    """With every field, also those that the schema would add, so that what stands can be compared with it."""
    return [
        {
            "budget": rung.budget,
            "values": _finite(rung.values),
            "infeasible": rung.infeasible,
            "promoted": rung.promoted,
        }
        for rung in rungs
    ]


def _replicates(replicates: Sequence[Replicate]) -> list[Object]:
    return [{"values": _finite(each.values), "metrics": _finite(each.metrics)} for each in replicates]


def _finite(numbers: Mapping[str, float]) -> dict[str, float]:
    """JSON has no other numbers."""
    return {name: value for name, value in numbers.items() if math.isfinite(value)}


def _result(result: Result) -> Object:
    body: Object = {"state": result.state.value, "reason": result.reason[:128]}
    if result.message:
        body["message"] = result.message[:1024]
    for name, numbers in (("values", result.values), ("errors", result.errors), ("metrics", result.metrics)):
        finite = _finite(numbers)
        if finite:
            body[name] = finite
    if result.infeasible:
        body["infeasible"] = True
    if result.step is not None:
        body["step"] = result.step
    if result.artifacts:
        body["artifacts"] = dict(result.artifacts)
    if result.last_scrape_age is not None:
        body["lastScrapeAgeSeconds"] = round(result.last_scrape_age, 3)
    return body
