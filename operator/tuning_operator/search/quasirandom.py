"""Points of a low-discrepancy sequence: they fill the space more evenly than random ones, in any number of them.

Trial n tries the n-th point, so nothing is remembered. Every axis has a coordinate of its own, whether it is active or
not; a point that was seen or is forbidden is passed over for the next one that is not.
"""

from tuning_operator.api.algorithm import AlgorithmName, QuasiRandomSettings, Sequence
from tuning_operator.api.base import JSONScalar
from tuning_operator.search import halton, sobol
from tuning_operator.search.ask import Ask
from tuning_operator.search.random_search import at_random
from tuning_operator.search.types import Suggestion

_STEPS = 256
"""Points passed over, until a random one is taken."""


def propose(ask: Ask) -> Suggestion:
    return quasi_random(ask, "")


def quasi_random(ask: Ask, reason: str, *, generation: int | None = None) -> Suggestion:
    """The point of the trial's number, with a reason in front of its own."""
    settings = ask.problem.algorithm.quasi_random or QuasiRandomSettings()
    for index in range(ask.number, ask.number + _STEPS):
        parameters = point(ask, index, settings.sequence)
        if ask.new(parameters):
            return Suggestion(
                parameters,
                by=AlgorithmName.QUASI_RANDOM.value,
                known=ask.known.results,
                reason=f"{reason}point {index + 1} of the {settings.sequence} sequence",
                generation=generation,
            )
    found = at_random(ask, f"{reason}random: the {settings.sequence} sequence has nothing new")
    return Suggestion(found.parameters, by=found.by, known=found.known, reason=found.reason, generation=generation)


def point(ask: Ask, index: int, sequence: Sequence) -> dict[str, JSONScalar]:
    """The point with this index, of this study."""
    seed = ask.study_seed("quasi-random")
    coordinate = sobol.coordinate if sequence is Sequence.SOBOL else halton.coordinate
    place = {axis.name: number for number, axis in enumerate(ask.space.axes)}
    return ask.space.build(lambda axis: axis.values.from_unit(coordinate(index, place[axis.name], seed=seed)))
