"""`TuningStudy.spec` as pydantic models: shapes, defaults, bounds and the words of `kubectl explain`.

Rules between fields stand in `rules.py` (they exist twice: CEL for the API server, Python for `tuning check`), semantic
checks that no CRD can express in `semantics.py`. Defaults are schema defaults: nothing ever patches the user's object.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tuning_operator.api.base import Duration, JSONScalar, Object, Resource, keyed, unique

Name = Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Za-z_][A-Za-z0-9_.-]*$")]
ObjectName = Annotated[
    str,
    Field(min_length=1, max_length=253, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"),
]
MetricName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_:][A-Za-z0-9_:]*$")]


class Goal(StrEnum):
    MAXIMIZE = "Maximize"
    MINIMIZE = "Minimize"


class Summarize(StrEnum):
    LAST = "Last"
    BEST = "Best"
    MEAN = "Mean"


class Objective(Resource):
    """A metric to optimise."""

    metric: MetricName = Field(description="Name of the metric as the trial reports it, for example `val_accuracy`.")
    goal: Goal = Field(description="`Maximize` or `Minimize`.")
    target: float | None = Field(
        None, description="The study ends, and running trials are stopped, once a trial reaches this value."
    )
    summarize: Summarize = Field(
        Summarize.LAST,
        description="Which reported value counts: the `Last` one, the `Best` one, or the `Mean` of the last `window`.",
    )
    window: int | None = Field(
        None, ge=1, le=1000, description="Number of last values for `summarize: Mean`, else absent."
    )


class Constraint(Resource):
    """A bound on a measured metric; a trial that breaks it is infeasible."""

    metric: MetricName = Field(description="Name of the metric as the trial reports it.")
    min: float | None = Field(None, description="Smallest feasible value.")
    max: float | None = Field(None, description="Largest feasible value.")


class Scale(StrEnum):
    LINEAR = "Linear"
    LOG = "Log"


class FloatRange(Resource):
    """Real numbers between `min` and `max`, both included."""

    min: float = Field(ge=-1e18, le=1e18, description="Smallest value.")
    max: float = Field(ge=-1e18, le=1e18, description="Largest value, above `min`.")
    scale: Scale = Field(Scale.LINEAR, description="`Log` searches orders of magnitude evenly; needs `min` > 0.")
    step: float | None = Field(
        None, gt=0, le=1e18, description="Values are `min`, `min + step`, ... up to `max`. Not with `Log`."
    )


class IntRange(Resource):
    """Whole numbers between `min` and `max`, both included."""

    min: int = Field(ge=-(2**53), le=2**53, description="Smallest value.")
    max: int = Field(ge=-(2**53), le=2**53, description="Largest value, above `min`.")
    scale: Scale = Field(Scale.LINEAR, description="`Log` searches orders of magnitude evenly; needs `min` >= 1.")
    step: int | None = Field(
        None, ge=1, le=2**53, description="Values are `min`, `min + step`, ... up to `max`. Not with `Log`."
    )


class Condition(Resource):
    """A parameter exists only where another one has one of these values."""

    parameter: Name = Field(description="Name of the other parameter.")
    values: list[JSONScalar] = Field(
        min_length=1, max_length=64, description="Values of the other parameter that make this one active."
    )


class Parameter(Resource):
    """One dimension of the search space; exactly one of `float`, `int` and `choice`."""

    name: Name = Field(
        description="Name of the parameter, for example `lr` or `optimizer.lr`. "
        "Reaches the trial as `TUNING_PARAM_<NAME>`."
    )
    float_: FloatRange | None = Field(None, alias="float", description="A range of real numbers.")
    int_: IntRange | None = Field(None, alias="int", description="A range of whole numbers.")
    choice: list[JSONScalar] | None = Field(
        None, min_length=1, max_length=256, description="A list of values without order: strings, numbers or booleans."
    )
    when: list[Condition] = Field(
        default_factory=list,
        max_length=8,
        description="Conditions, all of which must hold for the parameter to be active.",
        json_schema_extra=keyed("parameter"),
    )


class AlgorithmName(StrEnum):
    AUTO = "Auto"
    GRID = "Grid"
    RANDOM = "Random"
    QUASI_RANDOM = "QuasiRandom"
    TPE = "TPE"
    GP = "GP"
    CMA_ES = "CMAES"
    NSGA_II = "NSGAII"
    NSGA_III = "NSGAIII"
    EVOLUTION = "Evolution"


class TPESettings(Resource):
    """Settings of the tree-structured Parzen estimator (Bergstra et al., 2011)."""

    startup_trials: int = Field(10, ge=0, le=10000, description="Random trials before the model is used.")
    candidates: int = Field(
        24, ge=1, le=10000, description="Candidates drawn for each suggestion, of which the best is taken."
    )
    multivariate: bool = Field(
        True, description="Model parameters together instead of one by one (Falkner et al., 2018)."
    )


class Algorithm(Resource):
    """How new parameters are suggested."""

    name: AlgorithmName = Field(
        AlgorithmName.AUTO, description="`Auto` chooses from the space and the limits and says why in the status."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Same seed, same study uid, same history: same suggestions.")
    tpe: TPESettings | None = Field(None, description="Settings for `name: TPE` (or `Auto`, should it choose TPE).")


class Fidelity(Resource):
    """What a cheaper, less exact evaluation is."""

    parameter: Name = Field(
        description="Trainer setting or parameter that stands for the budget, for example `epochs`."
    )
    min: int = Field(ge=1, le=2**31, description="Smallest budget of a trial.")
    max: int = Field(ge=1, le=2**31, description="Full budget of a trial.")
    reduction: int = Field(3, ge=2, le=100, description="Of each rung, one in `reduction` trials goes on.")


class SchedulerName(StrEnum):
    NONE = "None"
    MEDIAN = "Median"
    ASHA = "ASHA"
    HYPERBAND = "Hyperband"
    SUCCESSIVE_HALVING = "SuccessiveHalving"
    PBT = "PBT"


class Scheduler(Resource):
    """How unpromising trials are ended early."""

    name: SchedulerName = Field(SchedulerName.NONE, description="`None` trains every trial to its end.")


class Limits(Resource):
    """When the study ends, and how much runs at once. May be changed while the study runs."""

    trials: int | None = Field(
        None, ge=1, le=10000, description="Most trials. Required, except for `Grid`, whose default is the whole grid."
    )
    parallel: int = Field(1, ge=1, le=500, description="Most trials running at once.")
    failures: int = Field(
        5, ge=0, le=10000, description="Failed trials that the study survives; one more and it fails."
    )
    duration: Duration | None = Field(
        None, description="Longest time from the first trial's start, in hours, minutes, seconds: `6h`, `1h30m`, `90s`."
    )
    accelerator_hours: float | None = Field(
        None, gt=0, le=1e9, description="Most accelerator hours spent by all trials together."
    )
    patience: int | None = Field(
        None, ge=1, le=10000, description="End after so many finished trials in a row without a better best."
    )
    queued: int = Field(
        0, ge=0, le=500, description="Jobs created ahead of a free slot, so that they are bound the moment it frees."
    )


class Bind(Resource):
    """A parameter that fills a field of the trial's Job."""

    parameter: Name = Field(description="Name of the parameter.")
    to: str = Field(
        min_length=1,
        max_length=512,
        pattern=r"^(/([^/~]|~[01])*)+$",
        description="JSON pointer into the Job, for example `/spec/template/spec/containers/0/image`.",
    )


class Accelerator(Resource):
    """What each trial gets to compute with."""

    resource: str = Field(
        "nvidia.com/gpu",
        min_length=1,
        max_length=253,
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
        description="Extended resource name, for example `nvidia.com/gpu` or `amd.com/gpu`.",
    )
    count: int = Field(1, ge=0, le=1024, description="How many for each trial; 0 for none.")


class Checkpoints(Resource):
    """Where trials keep what their next attempt needs."""

    claim_name: ObjectName | None = Field(
        None,
        description="PersistentVolumeClaim of the study's namespace. Each trial sees its own folder of it. "
        "Without one, a new attempt starts over.",
    )


SETTINGS: Object = {"additionalProperties": True}
"""The trainer's settings: the API server keeps any of them; `semantics.py` knows them."""

JOB_TEMPLATE: Object = {
    "additionalProperties": False,
    "properties": {
        "metadata": {
            "type": "object",
            "description": "Labels and annotations of the Job.",
            "additionalProperties": True,
            "maxProperties": 16,
        },
        "spec": {
            "type": "object",
            "description": "The Job's spec, as in `kubectl explain job.spec`.",
            "additionalProperties": True,
            "maxProperties": 64,
        },
    },
}
"""A Job template: no typed copy of the Job's fields; the operator checks it by a dry-run create."""


class TrialSpec(Resource):
    """What a trial is: the shared trainer with settings, or any Job."""

    trainer: Object | None = Field(
        None,
        max_length=256,
        description="Settings of the shared trainer; any of them can also be a parameter.",
        json_schema_extra=SETTINGS,
    )
    template: Object | None = Field(
        None,
        description="A Job template (`metadata`, `spec`). With `trainer` it is merged over the trainer's Job.",
        json_schema_extra=JOB_TEMPLATE,
    )
    bind: list[Bind] = Field(
        default_factory=list,
        max_length=64,
        description="Parameters that fill fields of the Job.",
        json_schema_extra=keyed("to"),
    )
    accelerator: Accelerator = Field(
        default_factory=Accelerator, description="Accelerators of each trial's first container."
    )
    checkpoints: Checkpoints = Field(default_factory=Checkpoints, description="Where trials keep checkpoints.")
    workers: int = Field(1, ge=1, le=1024, description="Pods of one trial that train together.")
    retries: int = Field(
        2,
        ge=0,
        le=100,
        description="New attempts after an attempt that asked for one (exit code 75). "
        "Evictions and node losses are not counted.",
    )
    timeout: Duration | None = Field(
        None, description="Longest time of one attempt, from its start; then it fails with `DeadlineExceeded`."
    )


class MetricsSource(StrEnum):
    AUTO = "Auto"
    DIRECT = "Direct"
    SIDECAR = "Sidecar"
    QUERY = "Query"
    LOGS = "Logs"


class Metrics(Resource):
    """Where the values of the objectives come from."""

    source: MetricsSource = Field(
        MetricsSource.AUTO, description="`Direct` scrapes the trial's own Prometheus metrics and reads its report."
    )
    port: int = Field(9464, ge=1, le=65535, description="Port of the trial's metrics.")
    path: str = Field(
        "/metrics", min_length=1, max_length=256, pattern=r"^/", description="Path of the trial's metrics."
    )
    interval_seconds: int = Field(10, ge=1, le=3600, description="Seconds between two scrapes of a running trial.")
    wait_seconds: int = Field(
        60,
        ge=0,
        le=3600,
        description="How long a finished trial's values may take to arrive; then it failed with `MetricsUnavailable`.",
    )


class Evaluate(StrEnum):
    NONE = "None"
    TEST = "Test"


class ExportFormat(StrEnum):
    SAFETENSORS = "Safetensors"
    ONNX = "ONNX"


class Final(Resource):
    """What happens after the search."""

    retrain: bool = Field(
        True, description="Train once more with the best parameters, on training and validation data."
    )
    evaluate: Evaluate = Field(
        Evaluate.TEST, description="Evaluate once on the `Test` data, which the search never saw."
    )
    export: list[ExportFormat] = Field(
        default_factory=list,
        max_length=4,
        description="Further formats of the trained model.",
        json_schema_extra=unique(),
    )


class WarmStart(Resource):
    """An earlier study to learn from."""

    study: ObjectName = Field(description="Name of a study in the same namespace.")


class StudySpec(Resource):
    """What to optimise, over what, how, and with how much."""

    objectives: list[Objective] = Field(
        min_length=1, max_length=8, description="Metrics to optimise.", json_schema_extra=keyed("metric")
    )
    constraints: list[Constraint] = Field(
        default_factory=list,
        max_length=16,
        description="Bounds on measured metrics.",
        json_schema_extra=keyed("metric"),
    )
    parameters: list[Parameter] = Field(
        min_length=1, max_length=64, description="The search space.", json_schema_extra=keyed("name")
    )
    algorithm: Algorithm = Field(default_factory=Algorithm, description="How new parameters are suggested.")
    fidelity: Fidelity | None = Field(None, description="Cheaper evaluations for multi-fidelity schedulers.")
    scheduler: Scheduler = Field(default_factory=Scheduler, description="How unpromising trials are ended early.")
    limits: Limits = Field(default_factory=Limits, description="When the study ends, and how much runs at once.")
    trial: TrialSpec = Field(description="What a trial is.")
    metrics: Metrics = Field(default_factory=Metrics, description="Where the values of the objectives come from.")
    final: Final | None = Field(None, description="What happens after the search; nothing if absent.")
    warm_start: list[WarmStart] = Field(
        default_factory=list,
        max_length=16,
        description="Earlier studies to learn from.",
        json_schema_extra=keyed("study"),
    )
    suspend: bool = Field(False, description="Stop running trials and start no new ones; set back to go on.")
