"""`spec.fidelity` and `spec.scheduler`: what a cheaper evaluation is, and how unpromising trials end early."""

from enum import StrEnum

from pydantic import Field

from tuning_operator.api.base import Resource
from tuning_operator.api.words import Name


class Fidelity(Resource):
    """What a cheaper, less exact evaluation is. Budgets are steps as the trial reports them (the trainer: epochs)."""

    parameter: Name = Field(
        "epochs",
        description="Trainer setting that stands for the budget, for example `epochs`; it is set to `max` in every "
        "trial. A template reads it as `TUNING_PARAM_<NAME>`.",
    )
    min: int = Field(1, ge=1, le=2**31, description="Smallest budget of a trial: its first rung.")
    max: int = Field(ge=1, le=2**31, description="Full budget of a trial.")
    reduction: int = Field(3, ge=2, le=100, description="Of each rung, one in `reduction` trials goes on (eta).")


class SchedulerName(StrEnum):
    NONE = "None"
    MEDIAN = "Median"
    ASHA = "ASHA"
    HYPERBAND = "Hyperband"
    SUCCESSIVE_HALVING = "SuccessiveHalving"
    PBT = "PBT"


class ASHAMode(StrEnum):
    HYBRID = "Hybrid"
    PAUSE = "Pause"
    STOP = "Stop"


class ASHASettings(Resource):
    """Settings of asynchronous successive halving (Li et al., 2020)."""

    mode: ASHAMode = Field(
        ASHAMode.HYBRID,
        description="At a rung, `Hybrid` lets a trial of the top share run on and pauses the others, `Pause` always "
        "pauses and promotes when a slot is free (as in the paper), `Stop` ends the others for good and needs no "
        "checkpoints.",
    )


class HyperbandMode(StrEnum):
    ASYNCHRONOUS = "Asynchronous"
    SYNCHRONOUS = "Synchronous"


class HyperbandSettings(Resource):
    """Settings of Hyperband (Li et al., 2018)."""

    mode: HyperbandMode = Field(
        HyperbandMode.ASYNCHRONOUS,
        description="`Synchronous` waits for all trials of a rung as in the paper, `Asynchronous` promotes at once.",
    )
    brackets: int | None = Field(
        None, ge=1, le=32, description="How many brackets, the most aggressive first; all of them if absent."
    )


class MedianSettings(Resource):
    """Settings of the median rule (Golovin et al., 2017): worse than the median of the others' averages so far."""

    interval: int | None = Field(
        None, ge=1, le=2**31, description="Steps between two looks, from `fidelity.min` on; a twentieth if absent."
    )
    startup_trials: int = Field(5, ge=1, le=10000, description="Trials that reached a step before any is stopped.")


class PBTSettings(Resource):
    """Settings of population based training (Jaderberg et al., 2017); `fidelity.min` is the length of a generation."""

    population: int = Field(
        10,
        ge=4,
        le=500,
        description="Members that train side by side. Each member of each generation is a trial, so `limits.trials` "
        "for a full run is `population` times `fidelity.max / fidelity.min`.",
    )
    quantile: float = Field(
        0.25, gt=0, le=0.5, description="Share of worst members that continue from a copy of one of the best."
    )
    perturbation: float = Field(
        1.2, gt=1, le=10, description="Factor by which a copied member's parameters are multiplied or divided."
    )
    resample: float = Field(0.25, ge=0, le=1, description="Probability that a copied parameter is drawn anew.")


class Plateau(Resource):
    """Ends a single trial whose own curve stands still. What it reached counts as its result."""

    steps: int = Field(ge=1, le=2**31, description="End a trial after so many steps without a better value.")
    min: int = Field(0, ge=0, le=2**31, description="Not before this step.")


class Scheduler(Resource):
    """How unpromising trials are ended early."""

    name: SchedulerName = Field(SchedulerName.NONE, description="`None` trains every trial to its end.")
    asha: ASHASettings | None = Field(None, description="Settings for `name: ASHA`.")
    hyperband: HyperbandSettings | None = Field(None, description="Settings for `name: Hyperband`.")
    median: MedianSettings | None = Field(None, description="Settings for `name: Median`.")
    pbt: PBTSettings | None = Field(None, description="Settings for `name: PBT`.")
    plateau: Plateau | None = Field(None, description="Ends single trials that get no better; with any scheduler.")
