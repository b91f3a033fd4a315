"""A study as it may be served now: with as many trials at once as its share of what the policy allows."""

from dataclasses import dataclass, replace

from tuning_operator.cluster.gather import runs_of
from tuning_operator.cluster.holdings import most_accelerators
from tuning_operator.cluster.shares import Claim, Shares
from tuning_operator.cluster.store import Key, Known
from tuning_operator.core.budgets import room
from tuning_operator.core.model import Event, Plan, Snapshot, StartRun, Study


@dataclass(slots=True)
class Cap:
    """What is remembered of one study."""

    study: Study | None = None
    capped: Study | None = None
    """The same with its share; kept, so that what hangs on it needs not be worked out again."""
    claim: Claim | None = None
    """What it wants and has, between `cap` and `settle`; None where nothing is limited."""
    short: bool = False
    """It wants more than it may have."""
    told: bool = False
    """And a person has been told."""


class Capping:
    def __init__(self, shares: Shares) -> None:
        self._shares = shares

    def begin(self, known: Known, study: Study) -> None:
        """Count what a study holds that was there before us and has not been decided on yet."""
        if self._shares.limits(study.namespace):
            live = sum(run.live for run in runs_of(known).values())
            self._shares.begin(known.key, Claim(live, live, cost=most_accelerators(study.spec), since=study.created_at))

    def cap(self, cap: Cap, known: Known, snapshot: Snapshot) -> Snapshot:
        """The snapshot to decide on. No other study may be decided on between this and `settle`."""
        study = snapshot.study
        cap.claim = _claim(snapshot) if self._shares.limits(study.namespace) else None
        if cap.claim is None:
            return snapshot
        limits = study.spec.limits
        allowed = self._shares.allowed(known.key, cap.claim)
        most = min(allowed, limits.parallel)
        queued = min(allowed - most, limits.queued)
        if (most, queued) == _pair(study):
            cap.capped = None
            return snapshot
        if cap.study is not study or cap.capped is None or _pair(cap.capped) != (most, queued):
            changed = limits.model_copy(update={"parallel": most, "queued": queued})
            cap.study, cap.capped = study, replace(study, spec=study.spec.model_copy(update={"limits": changed}))
        return replace(snapshot, study=cap.capped)

    def settle(self, cap: Cap, known: Known, plan: Plan) -> list[Key]:
        """After the decision: the studies that may start more now."""
        if cap.claim is None:
            cap.short = False
            return []
        held = cap.claim.held + sum(isinstance(action, StartRun) for action in plan.actions)
        wanted = held if plan.finished else cap.claim.wanted
        cap.short = cap.capped is not None and held < wanted
        return self._shares.hold(known.key, held, wanted=wanted)

    def news(self, cap: Cap, known: Known) -> list[Event]:
        """What a person should know, once each time that it comes to be so."""
        told, cap.told = cap.told, cap.short
        if told or not cap.short or cap.capped is None:
            return []
        most = cap.capped.spec.limits.parallel
        note = f"the policy of namespace {known.key[0]!r} leaves this study {most} trials at once; the others wait"
        return [Event("Normal", "WaitsForItsShare", note)]

    def forget(self, key: Key) -> list[Key]:
        """The study is no more; the studies that may start more now."""
        return self._shares.forget(key)


def _claim(snapshot: Snapshot) -> Claim:
    spec = snapshot.study.spec
    live = sum(run.live for run in snapshot.runs)
    idle = spec.suspend or bool(snapshot.invalid) or snapshot.study.deleting
    left = room(spec, len(snapshot.trials))
    open_ = sum(trial.result is None for trial in snapshot.trials)
    most = spec.limits.parallel + spec.limits.queued
    wanted = live if idle else max(live, most if left is None else min(most, open_ + left))
    return Claim(wanted, held=live, cost=most_accelerators(spec), since=snapshot.study.created_at)


def _pair(study: Study) -> tuple[int, int]:
    return study.spec.limits.parallel, study.spec.limits.queued
