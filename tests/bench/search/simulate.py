"""One study in simulated time: workers that ask when they are free, and trials that take different times."""

import heapq
import random

from tests.bench.search.methods import Method
from tests.bench.search.tasks import Task


def trajectory(task: Task, method: Method, *, trials: int, parallel: int, seed: int) -> list[float]:
    """The best loss after each trial that ended. How long a trial takes depends on its number and the seed only."""
    best: list[float] = []
    under_way: list[tuple[float, int, float]] = []
    now, number = 0.0, 0
    while len(best) < trials:
        while number < trials and len(under_way) < parallel:
            loss = task.loss(method.ask(number))
            lasts = random.Random(f"{task.name}/{seed}/{number}").uniform(0.5, 1.5)
            heapq.heappush(under_way, (now + lasts, number, loss))
            number += 1
        now, ended, loss = heapq.heappop(under_way)
        method.tell(ended, loss)
        best.append(min(loss, best[-1] if best else loss))
    return best
