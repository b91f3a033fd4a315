"""One question to an algorithm, and how it is answered: what every algorithm's `propose` takes and gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from tuning_operator.search.known import Known, Seen
from tuning_operator.search.problem import Problem
from tuning_operator.search.seeds import seed_of
from tuning_operator.search.space import PointKey, Space
from tuning_operator.search.types import Exhausted, Parameters, Suggestion, Waiting

Answer = Suggestion | Waiting | Exhausted


@dataclass(frozen=True, slots=True)
class Ask:
    """Parameters are wanted for the trial `number`.

    `known` are the recorded results, `running` the parameters of the trials that have none yet (those that run, and
    those suggested already that will), `seen` the points of both. The answer is a function of these alone; what an
    algorithm keeps in `known.derived` may make it faster and never different. In a finite space that is not used up
    (seen to by the caller) the answer is a point that is not in `seen`, and everywhere one that is allowed: `new` says
    both. `NothingLeftError` may be raised.
    """

    problem: Problem
    known: Known
    seen: Seen
    running: Mapping[int, Parameters]
    number: int

    @property
    def space(self) -> Space:
        return self.problem.space

    def seed(self, purpose: str) -> int:
        """32 bits for this trial; another purpose gives others."""
        return seed_of(self.problem.seed, self.problem.study_uid, self.number, purpose)

    def study_seed(self, purpose: str) -> int:
        """32 bits that are the same for every trial of the study."""
        return seed_of(self.problem.seed, self.problem.study_uid, -1, purpose)

    def new(self, parameters: Parameters) -> bool:
        """Whether this is a point of the space that is allowed and was not suggested before."""
        key = self.space.key(parameters)
        return key is not None and self.new_key(key)

    def new_key(self, key: PointKey) -> bool:
        """The same for a key."""
        return key not in self.seen and self.space.allowed_key(key)


class NothingLeftError(Exception):
    """No point can be found that is allowed and was not suggested before; the message is for a person."""


class Propose(Protocol):
    def __call__(self, ask: Ask, /) -> Answer: ...
