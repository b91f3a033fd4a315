"""The one way to a suggestion: a pure function of the study and what is recorded of it.

The same inputs give the same parameters in any process, so a restart continues as if nothing had happened. What a
caller may keep between calls (`Known`) makes it faster and never different. Which algorithm answers stands in
`registry.py`; what holds for all of them stands here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tuning_operator.search import enqueued, pbt, registry
from tuning_operator.search.ask import Answer, Ask, NothingLeftError
from tuning_operator.search.known import Known
from tuning_operator.search.problem import Problem, problem
from tuning_operator.search.random_search import at_random
from tuning_operator.search.types import Exhausted, Observation, Parameters, Suggestion

__all__ = ["Answer", "Problem", "problem", "suggest", "warm_up"]


def suggest(
    problem: Problem,
    *,
    history: Sequence[Observation],
    running: Mapping[int, Parameters],
    number: int,
    known: Known | None = None,
) -> Answer:
    """Parameters for the trial `number`.

    `history` are the recorded results, `running` the parameters of the trials that have none yet: those that run, and
    those suggested already that will. `known` may be kept by the caller for the next call on the same problem.
    """
    known = known or Known(problem.space)
    known.learn(history)
    # With several fidelities a trial that runs on has values already.
    running = {other: parameters for other, parameters in running.items() if not known.holds(other)}
    seen = known.seen(running)
    ask = Ask(problem, known, seen, running, number)
    size = problem.space.size
    try:
        first = enqueued.propose(ask)
        if first is not None:
            return first
        if problem.population:
            return pbt.propose(ask)
        if size is not None and len(seen) >= size:
            return Exhausted(f"all {size} points of the space were suggested")
        answer = registry.propose_of(problem.choice.name)(ask)
        if isinstance(answer, Suggestion) and not problem.space.allowed(answer.parameters):
            answer = at_random(ask, f"random: what {answer.by} proposed is forbidden")
    except NothingLeftError as error:
        return Exhausted(str(error))
    if isinstance(answer, Suggestion) and answer.parent is not None and answer.parent < 0:
        return replace(answer, parent=None)  # an earlier result is no trial of this study
    return answer


def warm_up(problem: Problem) -> None:
    """Load what the first model will need, before it is needed."""
    registry.warm_up(problem.choice.name)
