"""What may start now: trials that wait for their next attempt, then promoted ones, then new ones, or the final run.

Slots are counted by what is really there: a run that is being stopped keeps its slot until it is gone (P2), and so does
every trial that waits for a start, because its run may exist without having been seen yet.
"""

from dataclasses import dataclass, field
from typing import Final

from tuning_operator.api.trial import Role
from tuning_operator.core import confirm, final
from tuning_operator.core.budgets import End, Search, room
from tuning_operator.core.desk import Desk
from tuning_operator.core.model import Action, CreateTrial, Snapshot, StartRun, Trial
from tuning_operator.core.stalls import Hindrances, start_at
from tuning_operator.core.tally import Tally

LOOK_AHEAD_MAX: Final = 64
"""Most suggestions kept ready beyond the free slots."""


@dataclass(slots=True)
class Starts:
    free: int
    """Slots that stay free."""
    restarts: list[int] = field(default_factory=list)
    """Trials whose current attempt starts."""
    created: list[Trial] = field(default_factory=list)
    """Trials that come into being, the final run among them."""
    times: list[float] = field(default_factory=list)
    """When an attempt that has to wait may start."""

    @property
    def creations(self) -> list[Action]:
        actions: list[Action] = []
        for trial in self.created:
            actions += [CreateTrial(trial.number, trial.role, trial.suggestion), StartRun(trial.number, 0)]
        return actions


def starts(
    snapshot: Snapshot, desk: Desk, *, tally: Tally, search: Search, end: End | None, hindered: Hindrances
) -> Starts:
    limits = snapshot.study.spec.limits
    found = Starts(free=limits.parallel + limits.queued - desk.view.live)
    if snapshot.invalid or snapshot.study.spec.suspend:
        return found
    if not snapshot.absence:
        _continue(found, desk, hindered)
    if hindered.any:
        return found
    if end is None:
        _promote(found, desk, complete=search.complete)
        _create(found, snapshot, search, now=desk.now)
    else:
        _create_further(found, snapshot, desk=desk, tally=tally)
    return found


def look_ahead(snapshot: Snapshot, search: Search, *, found: Starts) -> tuple[int, ...]:
    """Numbers for the free slots and for as many as may free at once, as far as the budget goes."""
    limits = snapshot.study.spec.limits
    left = room(snapshot.study.spec, search.total)
    count = max(0, found.free) + min(limits.parallel, LOOK_AHEAD_MAX)
    if left is not None:
        count = min(count, left - len(found.created))
    first = next_number(snapshot) + len(found.created)
    return tuple(range(first, first + max(0, count)))


def next_number(snapshot: Snapshot) -> int:
    return snapshot.trials[-1].number + 1 if snapshot.trials else 0


def _continue(found: Starts, desk: Desk, hindered: Hindrances) -> None:
    # A slot that freed may have freed quota, too.
    freed = any(run is not None and not run.live for _, run in desk.results)
    for each in desk.opens.values():
        if not each.startable or each.blocked:
            continue
        if found.free <= 0:
            break
        if hindered.any and each.trial.number != hindered.probe:
            continue
        found.free -= 1
        at = start_at(each)
        if at > desk.now and not (each.problem is not None and freed):
            found.times.append(at)
        else:
            found.restarts.append(each.trial.number)


def _promote(found: Starts, desk: Desk, *, complete: bool) -> None:
    """Paused trials that may go on; one whose earlier attempt is not gone yet holds a slot by that, and waits."""
    if desk.ladder is None or found.free <= 0 or not desk.paused:
        return
    for number in desk.ladder.promotable(complete=complete):
        if found.free <= 0:
            break
        each = desk.take_up(number)
        if each is not None and each.paused and not each.blocked:
            desk.promote(number)
            found.restarts.append(number)
            found.free -= 1


def _create(found: Starts, snapshot: Snapshot, search: Search, *, now: float) -> None:
    left = room(snapshot.study.spec, search.total)
    number = next_number(snapshot)
    while found.free > 0 and (left is None or len(found.created) < left) and number in snapshot.suggestions:
        found.created.append(Trial(number, Role.SEARCH, snapshot.suggestions[number], created_at=now))
        found.free -= 1
        number += 1


def _create_further(found: Starts, snapshot: Snapshot, *, desk: Desk, tally: Tally) -> None:
    """Further runs of the best trials, then the final run; each only when every result before it stands in the ledger,
    so that the best cannot change behind it.
    """
    spec = snapshot.study.spec
    searching = any(trial.role is Role.SEARCH for trial in desk.unfinished)
    recording = any(trial.role is Role.SEARCH for trial, _ in desk.results)
    if searching or recording or desk.view.final is not None:
        return
    further = desk.further
    number = next_number(snapshot)
    for suggestion in confirm.missing(spec, tally.leaders, further, known=tally.finished)[: max(0, found.free)]:
        found.created.append(Trial(number, Role.CONFIRM, suggestion, created_at=desk.now))
        found.free -= 1
        number += 1
    best = confirm.champion(spec, tally.leaders, further)
    if found.created or desk.opens or desk.results or best is None or not final.wanted(spec) or found.free <= 0:
        return
    suggestion = final.suggestion(best, known=tally.finished)
    found.created.append(Trial(number, Role.FINAL, suggestion, created_at=desk.now))
    found.free -= 1
