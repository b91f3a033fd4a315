"""The Gaussian process: quasi-random points first, then the point of the largest expected improvement.

Above so many results that its cost (their number cubed) is too high, and where the numbers fail it, TPE goes on, and
says so. As `Auto` has it, TPE takes turns with it: where the objective is flat and rough, it looks at places that the
process is sure about too early, and where it is smooth the process finds the bottom all the same.
"""

from dataclasses import replace

from tuning_operator.api.algorithm import AlgorithmName, GPSettings
from tuning_operator.search import tpe
from tuning_operator.search.ask import Answer, Ask
from tuning_operator.search.quasirandom import quasi_random
from tuning_operator.search.random_search import at_random
from tuning_operator.search.types import Suggestion


def propose(ask: Ask) -> Answer:
    settings = ask.problem.algorithm.gp or GPSettings()
    useful = ask.known.useful
    if useful < settings.startup_trials:
        return quasi_random(ask, f"start, {useful} of {settings.startup_trials} results known: ")
    if useful > settings.max_trials:
        return _tpe(ask, f"more than {settings.max_trials} results: TPE")
    if len(ask.running) >= useful:
        # More points at once than results: what is believed of the first ones would choose the others.
        return quasi_random(ask, f"{len(ask.running)} under way, {useful} results known: ")
    choice = ask.problem.choice
    if choice.partner is AlgorithmName.TPE and ask.number % choice.turn == choice.turn - 1:
        return _tpe(ask, "its turn")
    from tuning_operator.search import gp_front, gp_model  # numpy is loaded when the first model is needed

    look = gp_model.look if len(ask.problem.goals) == 1 else gp_front.look
    try:
        found = look(ask)
    except gp_model.Unsolvable as error:
        return _tpe(ask, f"the Gaussian process fails ({error}): TPE")
    if found is None:
        return at_random(ask, f"random: the model of {useful} results proposes nothing new")
    return Suggestion(
        found.parameters,
        by=AlgorithmName.GP.value,
        known=ask.known.results,
        reason=f"model of {useful} results",
        expected=found.expected,
    )


def _tpe(ask: Ask, why: str) -> Suggestion:
    made = tpe.propose(ask)
    return replace(made, reason=f"{why}, {made.reason}")
