"""`spec.algorithm`: how new parameters are suggested, with typed settings for each algorithm."""

from enum import StrEnum

from pydantic import Field

from tuning_operator.api.base import Resource


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

    startup_trials: int = Field(
        10, ge=0, le=10000, description="Random trials before the model is used; quasi-random ones with a fidelity."
    )
    candidates: int = Field(
        24, ge=1, le=10000, description="Candidates drawn for each suggestion, of which the best is taken."
    )
    multivariate: bool | None = Field(
        None,
        description="Model parameters together (Falkner et al., 2018) instead of one by one. Default: together for one "
        "objective, one by one for several.",
    )


class GPSettings(Resource):
    """Settings of the Gaussian process (Matern 5/2 with a length scale per parameter, log expected improvement)."""

    startup_trials: int = Field(10, ge=1, le=10000, description="Quasi-random trials before the model is used.")
    max_trials: int = Field(
        500, ge=10, le=1000, description="Above so many results the study goes on with TPE, and says so."
    )


class Sequence(StrEnum):
    SOBOL = "Sobol"
    HALTON = "Halton"


class QuasiRandomSettings(Resource):
    """Settings of the low-discrepancy sequence; points are computed by index."""

    sequence: Sequence = Field(Sequence.SOBOL, description="`Sobol` (scrambled) or `Halton` (permuted digits).")


class CMAESSettings(Resource):
    """Settings of the covariance matrix adaptation evolution strategy (Hansen, 2016)."""

    population: int | None = Field(
        None, ge=2, le=1000, description="Trials of a generation; 4 + floor(3 ln d) for d parameters if absent."
    )
    sigma: float = Field(0.3, gt=0, le=1, description="First step size, as a share of each parameter's range.")


class NSGASettings(Resource):
    """Settings of the genetic algorithms for several objectives (Deb et al., 2002; Deb and Jain, 2014)."""

    population: int = Field(50, ge=4, le=1000, description="Trials of a generation.")
    crossover: float = Field(0.9, ge=0, le=1, description="Share of children that have two parents.")
    mutation: float | None = Field(
        None, ge=0, le=1, description="Probability that a parameter of a child is drawn anew; 1/d if absent."
    )


class EvolutionSettings(Resource):
    """Settings of regularised evolution (Real et al., 2019): the oldest dies, a tournament's winner has a child."""

    population: int = Field(20, ge=2, le=1000, description="Trials that can be parents: the latest ones.")
    sample: int = Field(5, ge=1, le=1000, description="Members of a tournament, at most `population`.")


class Algorithm(Resource):
    """How new parameters are suggested."""

    name: AlgorithmName = Field(
        AlgorithmName.AUTO, description="`Auto` chooses from the space and the limits and says why in the status."
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Same seed, same study uid, same history: same suggestions.")
    tpe: TPESettings | None = Field(None, description="Settings for `name: TPE` (or `Auto`, should it choose TPE).")
    gp: GPSettings | None = Field(None, description="Settings for `name: GP` (or `Auto`, should it choose GP).")
    quasi_random: QuasiRandomSettings | None = Field(None, description="Settings for `name: QuasiRandom`.")
    cmaes: CMAESSettings | None = Field(None, description="Settings for `name: CMAES`.")
    nsga: NSGASettings | None = Field(None, description="Settings for `name: NSGAII` and `name: NSGAIII`.")
    evolution: EvolutionSettings | None = Field(None, description="Settings for `name: Evolution`.")
