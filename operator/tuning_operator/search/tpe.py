"""The tree-structured Parzen estimator: random points first, then what the model draws.

With several fidelities the first ones are quasi-random: many trials begin at once, long before anything is known, and
what is among them decides how good the early ones are.
"""

from tuning_operator.api.algorithm import AlgorithmName, TPESettings
from tuning_operator.search.ask import Ask
from tuning_operator.search.quasirandom import quasi_random
from tuning_operator.search.random_search import at_random
from tuning_operator.search.types import Suggestion

_DRAWS = 4
"""Points of the model that may have been seen before, until a random one is taken."""


def propose(ask: Ask) -> Suggestion:
    settings = ask.problem.algorithm.tpe or TPESettings()
    useful = ask.known.useful
    if useful < settings.startup_trials:
        known = f"{useful} of {settings.startup_trials} results known"
        if ask.problem.fidelity is not None:
            return quasi_random(ask, f"start, {known}: ")
        return at_random(ask, f"random start: {known}")
    from tuning_operator.search.tpe_model import Model  # Optuna is loaded when the first model is needed

    model = Model(
        ask.space,
        ask.problem.goals,
        ask.known,
        ask.running,
        number=ask.number,
        settings=settings,
        seed=ask.seed("tpe"),
    )
    for _ in range(_DRAWS):
        parameters = model.point()
        if parameters is not None and ask.new(parameters):
            reason = f"model of {useful} results"
            return Suggestion(parameters, by=AlgorithmName.TPE.value, known=ask.known.results, reason=reason)
    return at_random(ask, f"random: the model of {useful} results proposes nothing new")
