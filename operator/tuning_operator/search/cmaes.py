"""CMA-ES (Hansen, 2016): a normal distribution over the ordered parameters that moves and stretches towards what works.

Its state is nowhere kept: the distribution of a generation is what all results of the generations before it make of the
first one, worked out again from the ledger. A trial belongs to the generation whose distribution it was drawn from; a
generation is whole once `population` of its results are known, or a later one has begun, and results that come after
that still count: with trials side by side none is wasted, and nothing waits. Choices have a frequency table each, which
leans towards what the better half chose. A parameter that is not active has its coordinate all the same, and moves only
where it is active. Trials that broke constraints stand behind all that did not, and those that do not work last.
"""

from tuning_operator.api.algorithm import AlgorithmName, CMAESSettings
from tuning_operator.search.ask import Ask
from tuning_operator.search.random_search import at_random
from tuning_operator.search.types import Suggestion

_DRAWS = 16
"""Points of the distribution that may have been seen before, until a random one is taken."""


def propose(ask: Ask) -> Suggestion:
    from tuning_operator.search.cmaes_model import Distribution  # numpy is loaded when the first model is needed

    settings = ask.problem.algorithm.cmaes or CMAESSettings()
    distribution = Distribution(ask, settings)
    generation = distribution.generation
    for parameters in distribution.points(_DRAWS):
        if ask.new(parameters):
            return Suggestion(
                parameters,
                by=AlgorithmName.CMA_ES.value,
                known=ask.known.results,
                reason=f"generation {generation}, step size {distribution.sigma:.3g}",
                generation=generation,
            )
    found = at_random(ask, f"generation {generation}: random: {_DRAWS} draws were all tried before")
    return Suggestion(found.parameters, by=found.by, known=found.known, reason=found.reason, generation=generation)
