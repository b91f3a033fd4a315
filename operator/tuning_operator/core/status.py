"""The study's status: a projection of the ledger as it stands once the plan is carried out.

So that one write after the plan is enough, and none is needed where nothing changed: nothing in it moves with the
clock alone. Bounded in size: counts, the best, the front's head; the ledger is the trials.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from tuning_operator.api.status import FRONT_MAX, StudyState
from tuning_operator.api.trial import Role
from tuning_operator.core import confirm
from tuning_operator.core import final as final_run
from tuning_operator.core.budgets import End
from tuning_operator.core.conditions import Headline, conditions
from tuning_operator.core.desk import Desk
from tuning_operator.core.leaders import Leader
from tuning_operator.core.memo import Memo
from tuning_operator.core.model import Run, Snapshot, Trial
from tuning_operator.core.naming import trial_name
from tuning_operator.core.objectives import METRICS_MAX
from tuning_operator.core.rungs import rung_table
from tuning_operator.core.stalls import Hindrances
from tuning_operator.core.starts import Starts
from tuning_operator.core.tally import Tally
from tuning_operator.core.times import timestamp
from tuning_operator.search.choice import choose
from tuning_operator.search.compiling import space_of

_REASON: Final = re.compile(r"[A-Za-z]([A-Za-z0-9_]{0,126}[A-Za-z0-9])?")


@dataclass(frozen=True, slots=True)
class Projection:
    """What the status is made of: the ledger as the plan leaves it."""

    snapshot: Snapshot
    now: float
    tally: Tally
    end: End | None
    hindered: Hindrances
    desk: Desk
    begun: Starts
    final: Trial | None
    settled: bool
    """Search and final run have ended."""
    memo: Memo

    @property
    def total(self) -> int:
        return self.desk.view.total + sum(1 for trial in self.begun.created if trial.role is Role.SEARCH)


def project(p: Projection) -> dict[str, Any]:
    study = p.snapshot.study
    counts = _counts(p)
    headline = _headline(p, counts)
    status: dict[str, Any] = {
        "observedGeneration": study.generation,
        "state": headline.state.value,
        "conditions": conditions(headline, p.snapshot.previous_status, generation=study.generation, now=p.now),
        "counts": counts,
        "acceleratorSeconds": round(p.tally.accelerator_seconds + _final_cost(p), 3),
    }
    status.update(_best(p))
    if p.desk.ladder is not None:
        rungs = rung_table(p.snapshot.study.spec, p.desk.ladder, _trials(p), kept=p.memo.rungs)
        if rungs:
            status["rungs"] = rungs
    algorithm = _algorithm(p)
    if algorithm:
        status["algorithm"] = algorithm
    if p.tally.started_at is not None:
        status["startTime"] = timestamp(p.tally.started_at)
    if p.settled:
        ended = max(p.tally.last_end, 0.0 if p.final is None else p.final.ended_at or 0.0)
        if ended > 0:
            status["completionTime"] = timestamp(ended)
    if p.final is not None:
        status["final"] = _final(p, p.final)
    return status


def _trials(p: Projection) -> list[Trial]:
    """By number, as the plan leaves them."""
    trials = {trial.number: trial for trial in p.snapshot.trials}
    trials.update((trial.number, trial) for trial, _ in p.desk.results)
    trials.update((number, each.trial) for number, each in p.desk.opens.items())
    return list(trials.values())


def _counts(p: Projection) -> dict[str, int]:
    """A trial whose Job exists counts as running, unless something is known to keep it from starting.

    A trial that only starts up (its image is there, its container is made) would otherwise cost two more writes of
    the status.
    """
    running = sum(1 for trial in p.begun.created if trial.role is Role.SEARCH)
    pending, paused = 0, len(p.desk.standing)
    for each in p.desk.opens.values():
        if each.trial.role is not Role.SEARCH:
            continue
        if each.trial.number in p.begun.restarts or (each.run is not None and not _waits_for_something(each.run)):
            running += 1
        elif each.paused:
            paused += 1
        else:
            pending += 1
    return {
        "total": p.total,
        "pending": pending,
        "running": running,
        "paused": paused,
        "succeeded": p.tally.succeeded,
        "failed": p.tally.failed,
        "stopped": p.tally.stopped,
    }


def _waits_for_something(run: Run) -> bool:
    stands = run.started_at is None and run.reason not in ("", "ContainerCreating", "PodInitializing", "Scheduled")
    return run.queued or stands


def _headline(p: Projection, counts: Mapping[str, int]) -> Headline:
    spec = p.snapshot.study.spec
    stall = p.hindered.stall
    if p.settled and p.end is not None:
        came_to = final_run.outcome(spec, p.tally, p.end, p.final)
        return Headline(
            StudyState.FAILED if came_to.failed else StudyState.SUCCEEDED, _word(came_to.reason), came_to.message
        )
    if stall is not None and (p.snapshot.invalid or not spec.suspend):
        return Headline(StudyState.STALLED, _word(stall.reason), stall.message)
    if spec.suspend:
        waiting = f"{counts['pending']} trials wait" if counts["pending"] else "nothing waits"
        return Headline(
            StudyState.SUSPENDED, "Suspended", f"spec.suspend is set; {waiting}", stopping=p.desk.view.live > 0
        )
    hint = f" {_sentence(p.hindered.waiting.message)}" if p.hindered.waiting is not None else ""
    if p.end is not None:
        then = (
            "The final run is on its way."
            if final_run.wanted(spec) and p.tally.best is not None
            else "The best trials are run again."
            if confirm.wanted(spec) and p.tally.best is not None
            else "Waiting for the last values."
        )
        return Headline(StudyState.FINISHING, p.end.reason, f"{_sentence(p.end.message)} {then}{hint}")
    if p.hindered.waiting is not None:
        return Headline(StudyState.RUNNING, _word(p.hindered.waiting.reason), _progress(p, counts) + hint)
    if p.total == 0:
        return Headline(StudyState.PENDING, "Starting", "The first trials are being prepared.")
    return Headline(StudyState.RUNNING, "TrialsRunning", _progress(p, counts))


def _progress(p: Projection, counts: Mapping[str, int]) -> str:
    limit = p.snapshot.study.spec.limits.trials
    of = "" if limit is None else f" of {limit}"
    paused = f", {counts['paused']} paused" if counts["paused"] else ""
    return f"{p.tally.finished}{of} trials ended, {counts['running']} running{paused}, {counts['pending']} pending."


def _best(p: Projection) -> dict[str, Any]:
    spec = p.snapshot.study.spec
    further = p.desk.further
    best = confirm.champion(spec, p.tally.leaders, further)
    if best is None:
        return {}
    shown = _member(p, best)
    result = best.trial.result
    shown["metrics"] = _first(best.values if result is None else result.metrics, METRICS_MAX)
    weights = None if result is None else result.artifacts.get("weights")
    if weights is not None and spec.trial.checkpoints.claim_name is not None:
        shown["checkpoint"] = f"{shown['trial']}/{weights}"[:1024]
    values = [best.values[o.metric] for o in spec.objectives if o.metric in best.values]
    status: dict[str, Any] = {"best": shown, "bestValue": ", ".join(f"{value:.6g}" for value in values)[:128]}
    if len(spec.objectives) > 1:
        status["front"] = [_member(p, leader) for leader in p.tally.leaders.front[:FRONT_MAX]]
    confirmed = confirm.confirmed(spec, p.tally.leaders, further)
    if confirmed:
        status["confirmed"] = [
            {
                "trial": _name(p, each.leader.trial),
                "number": each.leader.trial.number,
                "runs": each.runs,
                "values": dict(each.values),
                "errors": dict(each.errors),
            }
            for each in confirmed
        ]
    return status


def _member(p: Projection, leader: Leader) -> dict[str, Any]:
    return {
        "trial": _name(p, leader.trial),
        "number": leader.trial.number,
        "parameters": dict(leader.trial.suggestion.parameters),
        "values": dict(leader.values),
    }


def _final(p: Projection, final: Trial) -> dict[str, Any]:
    shown: dict[str, Any] = {"trial": _name(p, final), "state": final.recorded_state.value}
    if final.result is not None:
        shown["state"] = final.result.state.value
        shown["metrics"] = _first(final.result.metrics, METRICS_MAX)
        shown["artifacts"] = _first(final.result.artifacts, 32)
        if final.result.message:
            shown["message"] = final.result.message[:1024]
    return shown


def _algorithm(p: Projection) -> dict[str, str] | None:
    spec = p.snapshot.study.spec
    try:
        choice = choose(space_of(spec), spec)
    except ValueError:
        return None  # said by the check of the spec, as InvalidSpec
    return {"name": choice.name.value, "reason": "; ".join([choice.reason, *p.snapshot.learned])[:1024]}


def _final_cost(p: Projection) -> float:
    return 0.0 if p.final is None else p.final.accelerator_seconds


def _name(p: Projection, trial: Trial) -> str:
    return trial_name(p.snapshot.study.name, p.snapshot.study.uid, trial.number)


def _first(items: Mapping[str, Any], count: int) -> dict[str, Any]:
    return dict(list(items.items())[:count])


def _word(reason: str) -> str:
    """A reason the API server takes, whatever the world said."""
    if _REASON.fullmatch(reason):
        return reason
    cleaned = "".join(c for c in reason.title() if c.isascii() and c.isalnum())[:128]
    return cleaned if cleaned[:1].isalpha() else "Unknown"


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else text + "."
