"""`TuningStudy.spec` as pydantic models: shapes, defaults, bounds and the words of `kubectl explain`.

Rules between fields stand in `rules.py` (they exist twice: CEL for the API server, Python for `tuning check`), semantic
checks that no CRD can express in `semantics.py`. Defaults are schema defaults: nothing ever patches the user's object.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tuning_operator.api.algorithm import Algorithm
from tuning_operator.api.base import Duration, Object, Resource, keyed, unique
from tuning_operator.api.parameters import Expression, Parameter, ParameterValues
from tuning_operator.api.scheduling import Fidelity, Scheduler
from tuning_operator.api.words import MetricName, Name, ObjectName


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
    weight: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="With several objectives: how much this one counts when `best` is named. All or none have one; "
        "without weights `best` is the knee of the front.",
    )


class Constraint(Resource):
    """A bound on a measured metric; a trial that breaks it is infeasible."""

    metric: MetricName = Field(description="Name of the metric as the trial reports it.")
    min: float | None = Field(None, description="Smallest feasible value.")
    max: float | None = Field(None, description="Largest feasible value.")


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
    min_improvement: float | None = Field(
        None,
        gt=0,
        le=1e18,
        description="End once the model expects less improvement of the objective from one more accelerator hour (or "
        "trial hour, where trials have no accelerator). Needs `algorithm.name: GP`, or `Auto` choosing it.",
    )
    queued: int = Field(
        0,
        ge=0,
        le=500,
        description="Jobs created beyond `parallel`, so that the scheduler has some that wait and binds one in the "
        "moment an accelerator frees. Write the number of accelerators as `parallel`: where there are more, these run "
        "too. Trials are chosen the earlier the more of them wait. Nothing waits where trials run as processes.",
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
        "apiVersion": {
            "type": "string",
            "description": "Of another kind than Job, for example `jobset.x-k8s.io/v1alpha2`.",
            "minLength": 1,
            "maxLength": 317,
        },
        "kind": {
            "type": "string",
            "description": "Another kind than Job, for example `JobSet`; the administrator says which (docs/kinds.md).",
            "minLength": 1,
            "maxLength": 63,
        },
        "metadata": {
            "type": "object",
            "description": "Labels and annotations of the Job or other object.",
            "additionalProperties": True,
            "maxProperties": 16,
        },
        "spec": {
            "type": "object",
            "description": "The Job's spec, as in `kubectl explain job.spec`; or that of the other kind.",
            "additionalProperties": True,
            "maxProperties": 64,
        },
    },
}
"""A Job template, or one of another kind: no typed copy of its fields; the operator checks it by a dry-run create."""


class Replicates(Resource):
    """A trial is trained several times, and its value is the mean."""

    count: int = Field(ge=2, le=100, description="How often.")
    parameter: Name | None = Field(
        None,
        description="Trainer setting or parameter that is set to 0, 1, 2, ... in each, for example `seed` or "
        "`data.fold`. Each sees `TUNING_REPLICATE` as well.",
    )
    give_up: bool = Field(True, description="Leave out the rest where a trial is already clearly worse than the best.")


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
        description="A Job template (`metadata`, `spec`). With `trainer` it is merged over the trainer's Job. With "
        "`apiVersion` and `kind` the template of another kind, such as JobSet (docs/kinds.md).",
        json_schema_extra=JOB_TEMPLATE,
    )
    success_condition: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="When an object of another kind than Job has succeeded: CEL over `object`, for example "
        '`object.status.conditions.exists(c, c.type == "Completed" && c.status == "True")`. '
        "JobSet, PyTorchJob, TrainJob and RayJob need none.",
    )
    failure_condition: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="When it has failed, in the same way; it counts before `successCondition`.",
    )
    primary_pod: dict[Annotated[str, Field(max_length=317)], Annotated[str, Field(max_length=63)]] | None = Field(
        None,
        min_length=1,
        max_length=16,
        description="Labels that, of an object's pods, only the one has that reports. "
        "JobSet, PyTorchJob, TrainJob and RayJob need none.",
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
    replicates: Replicates | None = Field(None, description="Train each trial several times, one after the other.")
    workers: int = Field(
        1,
        ge=1,
        le=1024,
        description="Pods of one trial that train together, one lost pod ends the attempt. They find each other by the "
        "variables of `torchrun` (`MASTER_ADDR`, `RANK`, `PET_NNODES`, ...); pod 0 reports. Checkpoints of several "
        "pods need a claim that many nodes can mount. Trials that run as processes have one worker.",
    )
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


class LogMetrics(Resource):
    """How values stand in what the trial's first container prints."""

    step: str | None = Field(
        None,
        min_length=1,
        max_length=63,
        pattern=r"^[A-Za-z_][A-Za-z0-9_./-]*$",
        description="Name of the step in the lines. Default: `step`, else `epoch`.",
    )


class QueryExpression(Resource):
    """How the values of one metric are found on a Prometheus server."""

    metric: MetricName = Field(description="Name of an objective or a constraint.")
    expression: str = Field(
        min_length=1,
        max_length=1024,
        description="PromQL of one series, for example `avg_over_time(power_watts[1m])`. The operator adds matchers, "
        "so that it reads only series of the trial's pod.",
    )


class QueryMetrics(Resource):
    """A Prometheus server that knows the values."""

    server: str | None = Field(
        None,
        min_length=8,
        max_length=512,
        pattern=r"^https?://[^\s?#]+$",
        description="Its URL; one of those that the administrator allows. Default: the first of them.",
    )
    expressions: list[QueryExpression] = Field(
        default_factory=list,
        max_length=32,
        description="For metrics that are not simply the series `tuning_<metric>` or `<metric>`.",
        json_schema_extra=keyed("metric"),
    )
    step: str | None = Field(
        None,
        min_length=1,
        max_length=1024,
        description="PromQL of the step. Default: the series `tuning_step`, if there is one.",
    )


class Metrics(Resource):
    """Where the values of the objectives come from."""

    source: MetricsSource = Field(
        MetricsSource.AUTO,
        description="`Direct` scrapes the trial's own Prometheus metrics, `Logs` reads what its first container "
        "prints, `Query` asks a Prometheus server, `Sidecar` adds a container that scrapes the trial each second. "
        "Whatever the source, a report that the trial leaves (docs/trial-contract.md) comes first. `Auto` is `Logs` "
        "where `logs` is given, `Query` where `query` is given, `Sidecar` where a template's first container has a "
        "port named `metrics` (which is then the port), else `Direct`.",
    )
    port: int = Field(9464, ge=1, le=65535, description="Port of the trial's metrics.")
    path: str = Field(
        "/metrics", min_length=1, max_length=256, pattern=r"^/", description="Path of the trial's metrics."
    )
    logs: LogMetrics | None = Field(
        None,
        description="How values are found in a log: `name=value`, `name: value`, or one JSON object a line.",
    )
    query: QueryMetrics | None = Field(None, description="How values are found on a Prometheus server.")
    interval_seconds: int = Field(
        10,
        ge=1,
        le=3600,
        description="Seconds between two looks at a running trial. With `Query` at least the server's own scrape "
        "interval: the last value is asked for so long after the trial's end.",
    )
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


class Confirm(Resource):
    """The best trials are trained again with fresh seeds, so that `best` is not the luckiest (winner's curse)."""

    top: int = Field(3, ge=1, le=50, description="How many of the best trials.")
    runs: int = Field(3, ge=1, le=50, description="How often each of them.")


class Final(Resource):
    """What happens after the search."""

    confirm: Confirm | None = Field(None, description="Train the best trials again before `best` is declared.")

    retrain: bool = Field(
        True, description="Train once more with the best parameters, on training and validation data."
    )
    evaluate: Evaluate = Field(
        Evaluate.TEST, description="Evaluate once on the `Test` data, which the search never saw."
    )
    export: list[ExportFormat] = Field(
        default_factory=list,
        max_length=4,
        description="Further formats of the model that the final run trains. The shared trainer compares the outputs "
        "of `ONNX` with the model's on real samples; another image finds the list in `TUNING_FINAL`.",
        json_schema_extra=unique(),
    )


class Selector(Resource):
    """Objects by their labels."""

    match_labels: dict[str, Annotated[str, Field(max_length=63)]] = Field(
        min_length=1, max_length=16, description="Labels, all of which an object must have."
    )


class ConfigMapKey(Resource):
    """A table of earlier results in a ConfigMap of the study's namespace."""

    name: ObjectName = Field(description="Name of the ConfigMap.")
    key: str = Field("trials.json", min_length=1, max_length=253, description="Its key; a JSON list, as in `trials`.")


class EarlierTrial(Resource):
    """A result that is known before the study begins."""

    parameters: ParameterValues = Field(description="Parameters and their values.")
    values: dict[MetricName, float] = Field(max_length=8, description="Value of each objective.")


class OptunaStudy(Resource):
    """A study in an Optuna storage. Read by `tuning run` only; `tuning import` makes a ConfigMap of it."""

    storage: str = Field(min_length=1, max_length=1024, description="URL or file of the storage.")
    name: str = Field(min_length=1, max_length=253, description="Name of the study in it.")


class WarmStart(Resource):
    """Earlier results to learn from; exactly one of `study`, `selector`, `configMap`, `trials` and `optuna`."""

    study: ObjectName | None = Field(None, description="Name of a study in the same namespace.")
    selector: Selector | None = Field(None, description="Studies of the same namespace, by label.")
    config_map: ConfigMapKey | None = Field(None, description="A table in a ConfigMap.")
    trials: list[EarlierTrial] | None = Field(None, min_length=1, max_length=256, description="A table of results.")
    optuna: OptunaStudy | None = Field(None, description="A study in an Optuna storage.")


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
    forbidden: list[Expression] = Field(
        default_factory=list,
        max_length=32,
        description="Combinations that are never tried: CEL over the parameters, for example "
        "`optimizer == 'sgd' && lr > 0.1` or `layers * width > 4096`. What hangs on a parameter that is not active "
        "forbids nothing.",
    )
    enqueue: list[ParameterValues] = Field(
        default_factory=list,
        max_length=100,
        description="First points to try, in order, whatever the algorithm; parameters left out are drawn. They count "
        "as trials.",
    )
    algorithm: Algorithm = Field(default_factory=Algorithm, description="How new parameters are suggested.")
    fidelity: Fidelity | None = Field(None, description="Cheaper evaluations for multi-fidelity schedulers.")
    scheduler: Scheduler = Field(default_factory=Scheduler, description="How unpromising trials are ended early.")
    limits: Limits = Field(default_factory=Limits, description="When the study ends, and how much runs at once.")
    trial: TrialSpec = Field(description="What a trial is.")
    metrics: Metrics = Field(default_factory=Metrics, description="Where the values of the objectives come from.")
    final: Final | None = Field(None, description="What happens after the search; nothing if absent.")
    warm_start: list[WarmStart] = Field(
        default_factory=list, max_length=16, description="Earlier results to learn from."
    )
    suspend: bool = Field(False, description="Stop running trials and start no new ones; set back to go on.")
