"""Suggestions made ready before a slot frees, off the event loop, so that nobody ever waits for a model.

Threads, not processes: measured in docs/decisions/0001-suggestions-off-the-loop.md. What is urgent (a number without
any suggestion) is computed at once; what only becomes better informed waits until the results that came together are
in, and leaves the interpreter to others at least half of the time. What it answers is what `suggest` answers for the
same inputs; it decides only when.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Mapping

from tuning_operator.search.pending import NEVER, URGENT, Inputs, Pending, Task
from tuning_operator.search.suggest import Answer, warm_up
from tuning_operator.search.types import Suggestion

__all__ = ["Inputs", "LookAhead"]

_log = logging.getLogger(__name__)

_SWITCH_INTERVAL = 0.0005
_MAX_POINTS = 50_000
"""Recorded points kept converted, over all studies; the studies asked for longest ago are converted anew."""


class LookAhead:
    """Keeps suggestions ready for any number of studies. Every method returns at once and may be called from any
    thread.
    """

    def __init__(self, *, max_workers: int = 1, on_ready: Callable[[Hashable], None] | None = None) -> None:
        """`on_ready(key)` is called by a worker when a study has a suggestion, an end or a problem that is new."""
        self._on_ready = on_ready
        self._changed = threading.Condition()
        self._studies: dict[Hashable, Pending] = {}
        """In the order in which they are served next."""
        self._rest_until = 0.0
        self._closed = False
        self._max_workers = max_workers
        self._workers: list[threading.Thread] = []

    def request(self, key: Hashable, inputs: Inputs, numbers: Iterable[int]) -> None:
        """Make suggestions ready for these trial numbers, and only these. The newest request of a study replaces the
        one before.

        Suggestions that exist stay ready until they are made again from the newer inputs.
        """
        with self._changed:
            if self._closed:
                return
            study = self._studies.get(key)
            if study is None:
                study = self._studies[key] = Pending(inputs)
            study.renew(inputs, sorted(set(numbers)), now=time.monotonic())
            if not self._workers:
                self._start()
            self._changed.notify_all()

    def ready(self, key: Hashable) -> Mapping[int, Suggestion]:
        """Suggestions by trial number, of the last request's numbers."""
        with self._changed:
            study = self._studies.get(key)
            return {} if study is None else {number: made.suggestion for number, made in sorted(study.made.items())}

    def exhausted(self, key: Hashable) -> bool:
        """Whether the space has no further point than those ready."""
        with self._changed:
            study = self._studies.get(key)
            return study is not None and study.exhausted

    def waiting(self, key: Hashable) -> str | None:
        """Why there is no further suggestion before more is known; None if there is one, or will be."""
        with self._changed:
            study = self._studies.get(key)
            return None if study is None else study.waiting

    def stuck(self, key: Hashable) -> str | None:
        """The same where nothing runs, so that nothing more will be known."""
        with self._changed:
            study = self._studies.get(key)
            return None if study is None else study.stuck

    def problem(self, key: Hashable) -> str | None:
        """Why suggestions cannot be made at the moment; it is tried again."""
        with self._changed:
            study = self._studies.get(key)
            return None if study is None else study.problem

    def forget(self, key: Hashable) -> None:
        with self._changed:
            self._studies.pop(key, None)
            self._changed.notify_all()

    def join(self, timeout: float | None = None) -> bool:
        """Wait until everything requested was tried; False if the time was not enough."""
        with self._changed:
            return self._changed.wait_for(lambda: all(study.idle for study in self._studies.values()), timeout)

    def close(self, timeout: float = 5.0) -> None:
        """End the workers. One that computes is not waited for longer than `timeout`; nothing it makes is kept."""
        with self._changed:
            self._closed = True
            self._studies.clear()
            self._changed.notify_all()
        for worker in self._workers:
            worker.join(timeout)

    def _start(self) -> None:
        # An event loop waits this long for the interpreter each time it wakes up. Of the whole process; only shortened.
        sys.setswitchinterval(min(sys.getswitchinterval(), _SWITCH_INTERVAL))
        for index in range(self._max_workers):
            worker = threading.Thread(target=self._work, name=f"suggest-{index}", daemon=True)
            self._workers.append(worker)
            worker.start()

    def _work(self) -> None:
        while (task := self._next()) is not None:
            started = time.monotonic()
            try:
                result: Answer | Exception = task.run()
            except Exception as error:
                _log.exception("no suggestion for trial %d of %s", task.number, task.key)
                result = error
            now = time.monotonic()
            with self._changed:
                self._rest_until = now + (now - started)
                if self._studies.get(task.key) is not task.study:
                    continue
                news = task.study.take(task, result, now=now)
                self._trim()
                self._changed.notify_all()
            if news and self._on_ready is not None:
                try:
                    self._on_ready(task.key)
                except Exception:
                    _log.exception("on_ready failed for %s", task.key)
            if not task.study.urgent:
                warm_up(task.inputs.problem)

    def _next(self) -> Task | None:
        """The next thing to compute, waited for; None at the end. Urgent ones first, studies in turn."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                due = {key: study.due(self._rest_until) for key, study in self._studies.items()}
                # Urgent before refresh; among those that are due, whoever was served longest ago.
                chosen = min(due, key=lambda key: due[key] if due[key] <= URGENT else max(due[key], now), default=None)
                if chosen is not None and due[chosen] <= now:
                    study = self._studies.pop(chosen)
                    self._studies[chosen] = study
                    return study.start(chosen)
                soonest = NEVER if chosen is None else due[chosen]
                self._changed.wait(None if soonest == NEVER else soonest - now)
        return None

    def _trim(self) -> None:
        total = 0
        for study in reversed(self._studies.values()):
            total += 0 if study.known is None else len(study.known.points)
            if total > _MAX_POINTS and not study.busy:
                study.known = None
