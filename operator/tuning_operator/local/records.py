"""The core's words as resources, and back: the ledger on disk holds the same objects as a cluster would.

So `trials/0007.json` reads like `kubectl get ttrial -o json`, and everything that reads a study (status, report) reads
both.
"""

from datetime import UTC, datetime
from typing import Any

from tuning_operator.api.names import API_VERSION, LABEL_STUDY, LABEL_STUDY_UID, LABEL_TRIAL, STUDY_KIND, TRIAL_KIND
from tuning_operator.api.study import StudySpec
from tuning_operator.api.trial import (
    ReplicateRecord,
    RungRecord,
    SuggestionRecord,
    TrialResult,
    TuningTrialSpec,
    TuningTrialStatus,
)
from tuning_operator.core.model import Replicate, Result, Rung, Study, Trial
from tuning_operator.core.naming import trial_name
from tuning_operator.search.types import Suggestion

Json = dict[str, Any]


def trial_resource(trial: Trial, study: Study) -> Json:
    spec = TuningTrialSpec(
        study=study.name,
        number=trial.number,
        role=trial.role,
        parameters=dict(trial.suggestion.parameters),
        suggestion=SuggestionRecord(
            by=trial.suggestion.by,
            known=trial.suggestion.known,
            reason=trial.suggestion.reason,
            generation=trial.suggestion.generation,
            parent=trial.suggestion.parent,
            expected=trial.suggestion.expected,
        ),
    )
    status = TuningTrialStatus(
        state=trial.result.state if trial.result else trial.recorded_state,
        attempt=trial.attempt,
        retries=trial.retries,
        disruptions=trial.disruptions,
        accelerator_seconds=trial.accelerator_seconds,
        rungs=[
            RungRecord(budget=r.budget, values=dict(r.values), infeasible=r.infeasible, promoted=r.promoted)
            for r in trial.rungs
        ],
        replicates=[ReplicateRecord(values=dict(r.values), metrics=dict(r.metrics)) for r in trial.replicates],
        start_time=None if trial.started_at is None else timestamp(trial.started_at),
        completion_time=None if trial.ended_at is None else timestamp(trial.ended_at),
        result=None if trial.result is None else _result_record(trial.result),
    )
    return {
        "apiVersion": API_VERSION,
        "kind": TRIAL_KIND,
        "metadata": {
            "name": trial_name(study.name, study.uid, trial.number),
            "labels": {LABEL_STUDY: study.name, LABEL_STUDY_UID: study.uid, LABEL_TRIAL: str(trial.number)},
            "creationTimestamp": timestamp(trial.created_at),
        },
        "spec": spec.model_dump(mode="json", by_alias=True, exclude_none=True),
        "status": status.model_dump(mode="json", by_alias=True, exclude_none=True),
    }


def trial_from(resource: Json) -> Trial:
    spec = TuningTrialSpec.model_validate(resource["spec"])
    status = TuningTrialStatus.model_validate(resource.get("status", {}))
    return Trial(
        number=spec.number,
        role=spec.role,
        suggestion=Suggestion(
            spec.parameters,
            spec.suggestion.by,
            spec.suggestion.known,
            spec.suggestion.reason,
            spec.suggestion.generation,
            spec.suggestion.parent,
            spec.suggestion.expected,
        ),
        created_at=seconds(resource["metadata"]["creationTimestamp"]),
        attempt=status.attempt,
        retries=status.retries,
        disruptions=status.disruptions,
        accelerator_seconds=status.accelerator_seconds,
        rungs=tuple(Rung(r.budget, r.values, r.infeasible, r.promoted) for r in status.rungs),
        replicates=tuple(Replicate(r.values, r.metrics) for r in status.replicates),
        started_at=None if status.start_time is None else seconds(status.start_time),
        ended_at=None if status.completion_time is None else seconds(status.completion_time),
        result=None if status.result is None else _result_from(status.result),
        recorded_state=status.state,
    )


def study_resource(study: Study, status: Json) -> Json:
    return {
        "apiVersion": API_VERSION,
        "kind": STUDY_KIND,
        "metadata": {
            "name": study.name,
            "uid": study.uid,
            "generation": study.generation,
            "creationTimestamp": timestamp(study.created_at),
        },
        "spec": study.spec.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True),
        "status": status,
    }


def study_from(resource: Json) -> Study:
    metadata = resource["metadata"]
    return Study(
        namespace="",
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=StudySpec.model_validate(resource["spec"]),
        created_at=seconds(metadata["creationTimestamp"]),
    )


def timestamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _result_record(result: Result) -> TrialResult:
    return TrialResult(
        state=result.state,
        reason=result.reason,
        message=result.message[:1024],
        values=dict(result.values),
        errors=dict(result.errors),
        metrics=dict(result.metrics),
        infeasible=result.infeasible,
        step=result.step,
        artifacts=dict(result.artifacts),
        last_scrape_age_seconds=result.last_scrape_age,
    )


def _result_from(record: TrialResult) -> Result:
    return Result(
        state=record.state,
        reason=record.reason,
        message=record.message,
        values=record.values,
        errors=record.errors,
        metrics=record.metrics,
        infeasible=record.infeasible,
        step=record.step,
        artifacts=record.artifacts,
        last_scrape_age=record.last_scrape_age_seconds,
    )
