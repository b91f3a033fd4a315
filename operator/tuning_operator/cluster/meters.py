"""The operator's own metrics, `tuning_operator_*`, and nothing that needs them to be read."""

import time
from collections import defaultdict, deque
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from tuning_operator.api.trial import TrialState

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)

_UNSEEN_MAX = 10_000


class Meters:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(namespace="tuning_operator", registry=self.registry)
        self._clock = clock
        self._free: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=512))
        self._unseen: dict[str, float] = {}
        """Objects that were created, by uid, and when."""
        self._leader = Gauge("tuning_operator_leader", "1 while this process holds the lease.", registry=self.registry)
        self._shards = Gauge(
            "tuning_operator_shard_leader",
            "1 for the shard that this process serves, 0 for the others.",
            ["shard"],
            registry=self.registry,
        )
        self._queue = Gauge("tuning_operator_queue_depth", "Studies that wait for a worker.", registry=self.registry)
        self._reconcile = Histogram(
            "tuning_operator_reconcile_seconds", "Time of one reconcile.", buckets=_FAST, registry=self.registry
        )
        self._failed = Counter(
            "tuning_operator_reconcile_failures", "Reconciles that failed and are repeated.", registry=self.registry
        )
        self._gap = Histogram(
            "tuning_operator_idle_gap_seconds",
            "From the sight of a pod's end to the create of the next Job of its study.",
            buckets=_FAST,
            registry=self.registry,
        )
        self._suggestion = Histogram(
            "tuning_operator_suggestion_seconds",
            "From the wish for a suggestion that is not ready to its being ready.",
            buckets=_FAST,
            registry=self.registry,
        )
        self._requests = Counter(
            "tuning_operator_api_requests",
            "Requests to the API server; code 0 is no answer.",
            ["verb", "resource", "code"],
            registry=self.registry,
        )
        self._restarts = Counter(
            "tuning_operator_watch_restarts", "Times that the watch had to be started again.", registry=self.registry
        )
        self._scrapes = Counter(
            "tuning_operator_scrapes", "Looks at trials' values.", ["source", "outcome"], registry=self.registry
        )
        self._lag = Histogram(
            "tuning_operator_watch_lag_seconds",
            "From the answer to the create of a Job to its sight by the watch.",
            buckets=_FAST,
            registry=self.registry,
        )
        self._spent = Counter(
            "tuning_operator_accelerator_seconds",
            "Accelerators times seconds of attempts whose end was recorded.",
            ["resource"],
            registry=self.registry,
        )
        self._trials = Gauge("tuning_operator_trials", "Trials by state.", ["state"], registry=self.registry)

    def reconciled(self, seconds: float) -> None:
        self._reconcile.observe(seconds)

    def reconcile_failed(self) -> None:
        self._failed.inc()

    def requested(self, verb: str, resource: str, code: int) -> None:
        self._requests.labels(verb, resource, str(code)).inc()

    def watch_restarted(self) -> None:
        self._restarts.inc()

    def scraped(self, source: str, outcome: str) -> None:
        self._scrapes.labels(source, outcome).inc()

    def wrote(self, uid: str) -> None:
        """An object was created that the watch has not shown yet."""
        self._unseen[uid] = self._clock()
        while len(self._unseen) > _UNSEEN_MAX:
            del self._unseen[next(iter(self._unseen))]

    def watched(self, uid: str) -> None:
        """The watch has shown an object."""
        since = self._unseen.pop(uid, None)
        if since is not None:
            self._lag.observe(self._clock() - since)

    def spent(self, resource: str, seconds: float) -> None:
        if seconds > 0:
            self._spent.labels(resource).inc(seconds)

    def suggested(self, seconds: float) -> None:
        self._suggestion.observe(seconds)

    def slot_freed(self, study_uid: str) -> None:
        self._free[study_uid].append(self._clock())

    def slot_filled(self, study_uid: str) -> None:
        waiting = self._free.get(study_uid)
        if waiting:
            self._gap.observe(self._clock() - waiting.popleft())

    def study_gone(self, study_uid: str) -> None:
        self._free.pop(study_uid, None)

    def state(self, *, shard: int | None, shards: int, queue: int, trials: dict[str, int]) -> None:
        """Called for each scrape of our own metrics."""
        self._leader.set(shard is not None)
        for number in range(shards):
            self._shards.labels(str(number)).set(number == shard)
        self._queue.set(queue)
        for name in TrialState:
            self._trials.labels(name.value).set(trials.get(name.value, 0))
