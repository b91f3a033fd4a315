"""A study as it may be served now: with as many trials at once as its share of what the policy allows."""

from dataclasses import dataclass, replace

from tuning_operator.cluster.shares import Claim, Shares
from tuning_operator.cluster.store import Key, Known
from tuning_operator.core.budgets import room
from tuning_operator.core.lifecycle import accelerators
from tuning_operator.core.model import Event, Plan, RunState, Snapshot, StartRun, Study


@dataclass(slots=True)
class Cap:
    """What is remembered of one study."""

    study: Study | None = None
    capped: Study | None = None
    """The same with its share; kept, so that what hangs on it needs not be worked out again."""
    claim: Claim | None = None
    """What it wants and has, between `cap` and `settle`; None where nothing is limited."""
    told: bool = False


class Capping:
    def __init__(self, shares: Shares) -> None:
        self._shares = shares

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

    def settle(self, cap: Cap, known: Known, plan: Plan) -> tuple[list[Key], list[Event]]:
        """After the decision: the studies that may start more now, and what a person should know."""
        if cap.claim is None:
            return [], []
        held = cap.claim.held + sum(isinstance(action, StartRun) for action in plan.actions)
        wanted = held if plan.finished else cap.claim.wanted
        waking = self._shares.hold(known.key, held, wanted=wanted)
        short = cap.capped if held < wanted else None
        told, cap.told = cap.told, short is not None
        if short is None or told:
            return waking, []
        most = short.spec.limits.parallel
        note = f"the policy of namespace {known.key[0]!r} leaves this study {most} trials at once; the others wait"
        return waking, [Event("Normal", "WaitsForItsShare", note)]

    def forget(self, key: Key) -> list[Key]:
        """The study is no more; the studies that may start more now."""
        return self._shares.forget(key)


def _claim(snapshot: Snapshot) -> Claim:
    spec = snapshot.study.spec
    live = sum(run.state is not RunState.ENDED for run in snapshot.runs)
    idle = spec.suspend or bool(snapshot.invalid) or snapshot.study.deleting
    left = room(spec, len(snapshot.trials))
    open_ = sum(trial.result is None for trial in snapshot.trials)
    most = spec.limits.parallel + spec.limits.queued
    wanted = live if idle else max(live, most if left is None else min(most, open_ + left))
    return Claim(wanted, held=live, cost=accelerators(spec), since=snapshot.study.created_at)


def _pair(study: Study) -> tuple[int, int]:
    return study.spec.limits.parallel, study.spec.limits.queued
