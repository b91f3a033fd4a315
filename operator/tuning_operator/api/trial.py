"""`TuningTrial` as pydantic models: one evaluation of the study's ledger.

The trial object is the commit point: its `spec` never changes, a `status.result` once written never changes; the API
server itself refuses both (`rules.py`). Only the operator writes trials.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tuning_operator.api.base import Resource, Timestamp
from tuning_operator.api.parameters import ParameterValues
from tuning_operator.api.words import MetricName

MetricValues = Annotated[dict[MetricName, float], Field(max_length=256)]
Artifacts = Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=64)]


class Role(StrEnum):
    SEARCH = "Search"
    CONFIRM = "Confirm"
    FINAL = "Final"


class TrialState(StrEnum):
    PENDING = "Pending"
    QUEUED = "Queued"
    RUNNING = "Running"
    PAUSED = "Paused"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"


class SuggestionRecord(Resource):
    """How a trial's parameters came about."""

    by: str = Field(max_length=63, description="Algorithm that made the suggestion.")
    known: int = Field(ge=0, description="How many recorded results the suggestion knew.")
    reason: str = Field("", max_length=256, description="One line: random start, model, grid point, ...")
    generation: int | None = Field(None, ge=0, description="Generation, where the algorithm has some.")
    parent: int | None = Field(
        None,
        ge=0,
        description="Trial whose parameters these come from, or whose checkpoint it starts with.",
    )
    expected: float | None = Field(None, description="Improvement of the objective that the model expected.")


class TuningTrialSpec(Resource):
    """One evaluation: which parameters, for which study."""

    study: str = Field(max_length=253, description="Name of the study.")
    number: int = Field(ge=0, le=19999, description="0, 1, 2, ... within the study.")
    role: Role = Field(
        Role.SEARCH,
        description="`Search`; `Confirm` for a further run of one of the best; `Final` for the last run with the best.",
    )
    parameters: ParameterValues = Field(description="Active parameters and their values.")
    suggestion: SuggestionRecord = Field(description="How the parameters came about.")


class RungRecord(Resource):
    """What a trial reached at a rung. Written once; only `promoted` may become true later."""

    budget: int = Field(ge=1, description="Steps trained, from the beginning.")
    values: MetricValues = Field(default_factory=dict, description="Value of each objective there.")
    infeasible: bool = Field(False, description="A value was not finite: it counts as the worst.")
    promoted: bool = Field(False, description="The trial was allowed to go on from here.")


class ReplicateRecord(Resource):
    """One of the runs whose mean is the trial's value. Written once."""

    values: MetricValues = Field(default_factory=dict, description="Value of each objective.")
    metrics: MetricValues = Field(default_factory=dict, description="Last finite value of every metric reported.")


class TrialResult(Resource):
    """How the trial ended. Written once."""

    state: TrialState = Field(description="`Succeeded`, `Failed` or `Stopped`.")
    reason: str = Field(
        max_length=128, description="CamelCase word, for example `Completed`, `OutOfMemory`, `TargetReached`."
    )
    message: str = Field("", max_length=1024, description="What happened, for a person.")
    values: MetricValues = Field(default_factory=dict, description="Summarised value of each objective.")
    errors: MetricValues = Field(
        default_factory=dict, description="With replicates: standard error of each objective's mean."
    )
    metrics: MetricValues = Field(default_factory=dict, description="Last finite value of every metric reported.")
    infeasible: bool = Field(
        False,
        description="The parameters cannot work (memory, divergence, invalid setting); told so to the search.",
    )
    step: int | None = Field(None, ge=0, description="Last step reported.")
    artifacts: Artifacts = Field(default_factory=dict, description="Files left in the checkpoint directory.")
    last_scrape_age_seconds: float | None = Field(
        None,
        ge=0,
        description="Seconds from the last look at the trial's values to its end, where it left no report: values of "
        "that time were not seen.",
    )


class TuningTrialStatus(Resource):
    """What is known of the trial."""

    state: TrialState = Field(
        TrialState.PENDING,
        description="`Pending`, `Queued` (its Job is held by a queue such as Kueue), `Running`, `Paused`, "
        "`Succeeded`, `Failed` or `Stopped`.",
    )
    attempt: int = Field(0, ge=0, description="Number of the current or last attempt.")
    retries: int = Field(0, ge=0, description="Attempts that ended in a wish to try again.")
    disruptions: int = Field(0, ge=0, description="Attempts lost to eviction, preemption, node loss or suspension.")
    accelerator_seconds: float = Field(0, ge=0, description="Accelerators times seconds, over all ended attempts.")
    rungs: list[RungRecord] = Field(
        default_factory=list, max_length=64, description="What it reached at each rung, by budget."
    )
    replicates: list[ReplicateRecord] = Field(
        default_factory=list, max_length=100, description="Replicates that have ended well, in order."
    )
    start_time: Timestamp | None = Field(None, description="When the first attempt started to run.")
    completion_time: Timestamp | None = Field(None, description="When the trial ended.")
    result: TrialResult | None = Field(None, description="How the trial ended. Written once.")
