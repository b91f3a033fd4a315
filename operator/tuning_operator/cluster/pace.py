"""When a running trial is scraped next: at the regular interval, and around the time at which it reaches a rung.

A rung's value is exact whenever it is read, but until it is read, nothing can be decided from it. Scraping everything
often would cost every trial; so the time of the next rung is reckoned from the steps seen so far. What comes later than
expected is asked for ever more rarely. Pure; times are given.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

SHORTEST: Final = 0.5
"""Seconds between two scrapes of one pod, whatever is expected of it."""
FIRST: Final = 2.0
_REMEMBERED: Final = 8
_OF_A_STEP: Final = 0.1
_OF_THE_DELAY: Final = 0.25


@dataclass(frozen=True, slots=True)
class _News:
    """A step was reached after `after` (the scrape before still told another one) and not later than `at`."""

    step: int
    after: float
    at: float


class Pace:
    """Of one attempt."""

    def __init__(self, interval: float, now: float) -> None:
        self._interval = interval
        self._news: deque[_News] = deque(maxlen=_REMEMBERED)
        self._asked_at = self._news_at = now

    @property
    def first(self) -> float:
        """Seconds from the sight of a running pod to its first scrape."""
        return min(FIRST, self._interval)

    def saw(self, step: int | None, at: float) -> None:
        """A scrape has ended; None if nothing answered or no step was told."""
        if step is not None and (not self._news or step > self._news[-1].step):
            self._news.append(_News(step, self._asked_at, at))
            self._news_at = at
        self._asked_at = at

    def wait(self, now: float, awaited: Iterable[int]) -> float:
        """Seconds to the next scrape, where these steps are awaited."""
        last = self._news[-1].step if self._news else 0
        ahead = [step for step in awaited if step > last]
        if not ahead:
            return self._interval
        return min(self._interval, max(SHORTEST, self._until(min(ahead), now)))

    def _until(self, step: int, now: float) -> float:
        if len(self._news) < 2:
            return _OF_THE_DELAY * (now - self._news_at)
        first, last = self._news[0], self._news[-1]
        each = (last.after + last.at - first.after - first.at) / 2 / (last.step - first.step)
        expected = last.after + (step - last.step) * each
        if expected > now:
            return (
                expected - now
            ) / 2  # half the way, since a speed that was seen for a short time is not to be trusted
        return max(_OF_A_STEP * each, _OF_THE_DELAY * (now - expected))
