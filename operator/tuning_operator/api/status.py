"""`TuningStudy.status` as pydantic models: a projection of the ledger, bounded in size.

Only the operator writes it, by server-side apply. It holds nothing that the trials do not say; deleted, it comes back
the same. Absent fields are left out (`model_dump(by_alias=True, exclude_none=True)`); no value is NaN or infinite.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tuning_operator.api.base import Resource, Timestamp, keyed
from tuning_operator.api.parameters import ParameterValues
from tuning_operator.api.trial import MetricValues, TrialState

FRONT_MAX = 64
"""Members of the Pareto front that the status shows; the rest stand in the trials."""


class StudyState(StrEnum):
    """One word for the column; the conditions say the same in Kubernetes' words."""

    PENDING = "Pending"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    FINISHING = "Finishing"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STALLED = "Stalled"


class ConditionType(StrEnum):
    READY = "Ready"
    RECONCILING = "Reconciling"
    STALLED = "Stalled"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    SUSPENDED = "Suspended"


class ConditionStatus(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class StatusCondition(Resource):
    """One aspect of the study's state, as in `metav1.Condition`."""

    type: ConditionType = Field(
        description="`Ready`, `Reconciling` and `Stalled` follow kstatus; `Succeeded`, `Failed` and `Suspended` say "
        "how the study stands."
    )
    status: ConditionStatus = Field(description="`True`, `False` or `Unknown`.")
    reason: str = Field(
        min_length=1,
        max_length=128,
        pattern=r"^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$",
        description="CamelCase word, for example `InvalidSpec`, `TargetReached`, `TrialsCompleted`.",
    )
    message: str = Field("", max_length=4096, description="What is the case and what to do about it, for a person.")
    observed_generation: int = Field(ge=0, description="Generation of the spec that this condition is about.")
    last_transition_time: Timestamp = Field(description="When `status` last changed.")


class Counts(Resource):
    """Trials of the search by state; the final run is not counted."""

    total: int = Field(0, ge=0, description="Trials created so far.")
    pending: int = Field(
        0, ge=0, description="Trials created that do not run: they are to be started, or wait in a queue."
    )
    running: int = Field(0, ge=0, description="Trials that run.")
    paused: int = Field(0, ge=0, description="Trials that wait at a rung and may still be promoted.")
    succeeded: int = Field(0, ge=0, description="Trials that ended with a value of every objective.")
    failed: int = Field(0, ge=0, description="Trials that ended without one.")
    stopped: int = Field(0, ge=0, description="Trials ended early: unpromising, or no longer needed.")


class FrontMember(Resource):
    """A trial that no other trial beats in every objective."""

    trial: str = Field(max_length=253, description="Name of the TuningTrial.")
    number: int = Field(ge=0, description="Number of the trial within the study.")
    parameters: ParameterValues = Field(default_factory=dict, description="Active parameters and their values.")
    values: MetricValues = Field(
        default_factory=dict, description="Value of each objective, summarised as the study asks."
    )


class Best(FrontMember):
    """The best trial so far, by the objective."""

    metrics: MetricValues = Field(
        default_factory=dict, description="Last value of every metric that the trial reported."
    )
    checkpoint: str | None = Field(
        None, max_length=1024, description="Where the trial's model is, inside the checkpoint claim."
    )


class ChosenAlgorithm(Resource):
    """The algorithm that makes the suggestions."""

    name: str = Field(max_length=63, description="The algorithm, never `Auto`.")
    reason: str = Field(
        "", max_length=1024, description="Why it was chosen, and what was learned from earlier results."
    )


class RungSummary(Resource):
    """One line of the rung table of a multi-fidelity scheduler."""

    bracket: int = Field(0, ge=0, description="Bracket, the most aggressive first.")
    budget: int = Field(ge=1, description="Steps trained, from the beginning.")
    reached: int = Field(0, ge=0, description="Trials that reached it.")
    promoted: int = Field(0, ge=0, description="Trials that were allowed to go on from it.")
    best: str | None = Field(None, max_length=128, description="The best value there, short, for people.")


class Confirmed(Resource):
    """What the further runs of one of the best trials came to."""

    trial: str = Field(max_length=253, description="Name of the TuningTrial.")
    number: int = Field(ge=0, description="Number of the trial within the study.")
    runs: int = Field(0, ge=0, description="Further runs that ended well.")
    values: MetricValues = Field(default_factory=dict, description="Mean of each objective over the further runs.")
    errors: MetricValues = Field(default_factory=dict, description="Standard error of these means.")


class FinalRun(Resource):
    """The last run, with the best parameters."""

    trial: str = Field(max_length=253, description="Name of the TuningTrial.")
    state: TrialState = Field(description="`Pending`, `Running`, `Succeeded`, `Failed` or `Stopped`.")
    metrics: MetricValues = Field(
        default_factory=dict, description="Metrics of the final run, among them those on test data."
    )
    message: str = Field("", max_length=1024, description="Why it failed, if it did.")
    artifacts: Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=32)] = Field(
        default_factory=dict, description="Files that the final run left in its checkpoint directory."
    )


class StudyStatus(Resource):
    """How the study stands. Written by the operator only."""

    observed_generation: int | None = Field(
        None,
        ge=-1,
        description="Generation of the spec that this status is about; -1 before the operator saw the study.",
    )
    state: StudyState | None = Field(None, description="The study's state in one word.")
    conditions: list[StatusCondition] = Field(
        default_factory=list,
        max_length=16,
        description="Aspects of the state with reason and message; one of each type.",
        json_schema_extra=keyed("type"),
    )
    counts: Counts | None = Field(None, description="Trials by state.")
    best: Best | None = Field(None, description="The best trial so far, by the first objective.")
    best_value: str | None = Field(
        None,
        max_length=128,
        description="The best trial's value, short, for people (several objectives: separated by commas).",
    )
    front: list[FrontMember] = Field(
        default_factory=list,
        max_length=FRONT_MAX,
        description="With several objectives: trials that no other beats in all of them.",
    )
    rungs: list[RungSummary] = Field(
        default_factory=list, max_length=64, description="With a multi-fidelity scheduler: its table."
    )
    confirmed: list[Confirmed] = Field(
        default_factory=list, max_length=50, description="With `final.confirm`: the best trials, run again."
    )
    algorithm: ChosenAlgorithm | None = Field(None, description="The algorithm in use and why it was chosen.")
    start_time: Timestamp | None = Field(None, description="When the first trial started to run.")
    completion_time: Timestamp | None = Field(None, description="When the study ended.")
    accelerator_seconds: float | None = Field(None, ge=0, description="Accelerators times seconds, over all trials.")
    final: FinalRun | None = Field(None, description="The final run, if the study asks for one.")
