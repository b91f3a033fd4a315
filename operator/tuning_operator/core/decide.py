"""One decision: from what is seen of a study to what is to be done now. Pure: no clock, no randomness, no I/O.

The plan is derived from the whole snapshot each time and nothing that matters is remembered in between, so any part of
a plan may get lost: the next decision finds what is missing. The order of the actions serves the accelerators first:
what fills a free slot comes before the records of what freed it. What it costs: tests/bench/decide.py.
"""

from dataclasses import replace
from typing import Final

from tuning_operator.api.trial import Role
from tuning_operator.core import confirm
from tuning_operator.core import final as final_run
from tuning_operator.core.budgets import DRAINED, End, Search, next_limit, room, search_end
from tuning_operator.core.desk import Desk
from tuning_operator.core.events import events_of
from tuning_operator.core.history import nothing_left
from tuning_operator.core.lifecycle import accelerator_seconds, accelerators, not_promoted, stopped
from tuning_operator.core.memo import Memo
from tuning_operator.core.model import Action, Plan, Snapshot, StartRun, Trial
from tuning_operator.core.rungs import ladder
from tuning_operator.core.stalls import Hindrances, hindrances, stuck
from tuning_operator.core.starts import Starts, look_ahead, next_number, starts
from tuning_operator.core.status import Projection, project
from tuning_operator.core.tally import Tally
from tuning_operator.core.view import look

REREAD: Final = 60.0
"""Watches lie: an active study is looked at again at least this often."""


def decide(snapshot: Snapshot, now: float, *, memo: Memo | None = None) -> Plan:
    """`memo`: the same one for every decision on a study makes them cheaper, and never different."""
    if snapshot.study.deleting:
        # Owner references take everything along; whatever is written now would only be in the way.
        return Plan(actions=(), status=snapshot.previous_status, finished=True)
    spec = snapshot.study.spec
    memo = (memo or Memo()).of(spec)
    desk = Desk(look(snapshot), spec, now, ladder=ladder(spec, snapshot.trials, kept=memo.rows))
    desk.look_at_all()
    tally = _tally(desk, memo)
    search = _search(snapshot, desk, memo)
    end = search_end(spec, tally, search, now=now)
    if end is not None:
        _end_search(desk, end, tally)
    else:
        _end_hopeless(desk, search, tally)
    _stop_unwanted_final(desk)
    if spec.suspend:
        desk.suspend()
    hindered = hindrances(
        list(desk.opens.values()), snapshot.invalid, absence=snapshot.absence, proven=desk.proven, now=now
    )
    begun = starts(snapshot, desk, tally=tally, search=search, end=end, hindered=hindered)
    if snapshot.stuck is not None and end is None and _nothing_under_way(search, begun):
        hindered = replace(hindered, stall=hindered.stall or stuck(snapshot.stuck))

    actions = _actions(desk, begun)
    settled = end is not None and not any(desk.unfinished) and not begun.created and _final_done(desk, tally)
    active = bool(actions) or not settled or desk.view.live > 0
    status = project(
        Projection(
            snapshot=snapshot,
            now=now,
            tally=tally,
            end=end,
            hindered=hindered,
            desk=desk,
            begun=begun,
            final=_final(desk, begun.created),
            settled=settled,
            memo=memo,
        )
    )
    quiet = end is not None or spec.suspend or bool(snapshot.invalid)
    return Plan(
        actions=actions,
        status=status,
        suggest=() if quiet else look_ahead(snapshot, search, found=begun),
        requeue_after=_requeue_after(desk, tally, search=search, hindered=hindered, begun=begun, end=end)
        if active
        else None,
        events=events_of(snapshot.previous_status, status, tally),
        finished=not active,
    )


def _tally(desk: Desk, memo: Memo) -> Tally:
    new = [trial for trial, _ in desk.results if trial.role is Role.SEARCH]
    tally = memo.tally(desk.spec, desk.view.recorded + new)
    for trial in desk.unfinished:
        if trial.role is Role.SEARCH:
            tally.spend(trial)
            if trial.rungs and trial.rungs[-1].budget >= tally.leaders.budget and not desk.spec.constraints:
                tally.stands(trial, {})
    return tally


def _search(snapshot: Snapshot, desk: Desk, memo: Memo) -> Search:
    search = [each for each in desk.opens.values() if each.trial.role is Role.SEARCH]
    unfinished = [each for each in search if not each.paused or each.blocked]
    full = room(desk.spec, desk.view.total) == 0
    asked = not full and not unfinished and next_number(snapshot) not in snapshot.suggestions
    exhausted = asked and nothing_left(snapshot, memo=memo)
    closed = desk.view.final is not None or bool(desk.further)
    going_on = 0
    if desk.ladder is not None and not unfinished and (search or desk.standing) and (full or exhausted or closed):
        going_on = len(desk.ladder.promotable(complete=True))
    return Search(
        total=desk.view.total,
        unfinished=len(unfinished) + going_on,
        live_seconds=sum(
            accelerator_seconds(desk.spec, each.run, desk.now)
            for each in unfinished
            if each.run is not None and each.live
        ),
        full=full,
        exhausted=exhausted,
        closed=closed,
    )


def _nothing_under_way(search: Search, begun: Starts) -> bool:
    return not (search.unfinished or search.complete or begun.restarts or begun.created)


def _end_search(desk: Desk, end: End, tally: Tally) -> None:
    """Every end stops what still runs. Only values that are on their way are waited for: they may be the best."""
    for number in sorted(desk.opens.keys() | desk.standing.keys()):
        each = desk.take_up(number)
        if each is None or each.trial.role is not Role.SEARCH or each.ended:
            continue
        if each.paused and end.reason in DRAINED:
            why = "the search is over, and others were better there"
            desk.stop(each, not_promoted(desk.spec, each.trial, why=why))
        else:
            desk.stop(each, stopped(desk.spec, each.run, reason=end.reason, message=end.message))
        tally.add(desk.results[-1][0])


def _end_hopeless(desk: Desk, search: Search, tally: Tally) -> None:
    """Paused trials that nothing can promote any more make room: for people, and of their checkpoints."""
    if desk.ladder is None or not desk.paused:
        return
    for number in desk.ladder.hopeless(complete=search.complete):
        each = desk.take_up(number)
        if each is not None and each.paused and not each.blocked:
            desk.stop(each, not_promoted(desk.spec, each.trial, why="too many others were better there"))
            tally.add(desk.results[-1][0])


def _stop_unwanted_final(desk: Desk) -> None:
    for each in list(desk.opens.values()):
        if each.trial.role is Role.FINAL and not final_run.wanted(desk.spec):
            message = "spec.final does not ask for it any more"
            desk.stop(each, stopped(desk.spec, each.run, reason=final_run.NOT_WANTED, message=message))


def _actions(desk: Desk, begun: Starts) -> tuple[Action, ...]:
    new = begun.creations
    again: list[Action] = []
    marks: list[Action] = []
    for number, each in sorted(desk.opens.items()):
        record = desk.record_of(number)
        if number in begun.restarts:
            # The record first: a Job of an attempt that its trial does not know of must not come into being.
            again += (
                [StartRun(number, each.trial.attempt)]
                if record is None
                else [record, StartRun(number, each.trial.attempt)]
            )
        elif record is not None:
            marks.append(record)
    # Records before stops: a run that is gone before its trial says why would look lost, and be repeated.
    return (*new, *again, *desk.result_records(), *marks, *desk.stops)


def _final(desk: Desk, created: list[Trial]) -> Trial | None:
    """The final run as it stands after this plan."""
    candidates = [each.trial for each in desk.opens.values()] + [trial for trial, _ in desk.results] + created
    return next((trial for trial in candidates if trial.role is Role.FINAL), desk.view.final)


def _final_done(desk: Desk, tally: Tally) -> bool:
    if tally.best is None:
        return True
    if desk.view.final is None and confirm.missing(desk.spec, tally.leaders, desk.further, known=tally.finished):
        return False
    if not final_run.wanted(desk.spec):
        return True
    final = _final(desk, [])
    return final is not None and final.result is not None


def _requeue_after(
    desk: Desk, tally: Tally, *, search: Search, hindered: Hindrances, begun: Starts, end: End | None
) -> float:
    times = [*desk.times, *begun.times, desk.now + REREAD]
    if hindered.look_again_at is not None:
        times.append(hindered.look_again_at)
    if end is None:
        spending = sum(
            accelerators(desk.spec, each.run)
            for each in desk.opens.values()
            if each.live and each.run is not None and each.run.started_at is not None
        )
        limit = next_limit(desk.spec, tally, now=desk.now, spending=spending, live_seconds=search.live_seconds)
        if limit is not None:
            times.append(limit)
    return max(0.0, min(times) - desk.now)
