"""One reconcile of one study: gather -> decide -> act -> status -> requeue.

The queue sees to it that a study has one worker at a time. Whatever goes wrong in one study is logged and tried again
later, by itself; nothing here waits for another study.
"""

import json
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tuning_operator.api import kinds
from tuning_operator.api.study import StudySpec, WarmStart
from tuning_operator.api.trial import TrialState
from tuning_operator.cluster.act import Actor
from tuning_operator.cluster.capping import Cap, Capping
from tuning_operator.cluster.errors import ApiError
from tuning_operator.cluster.foreign import reading_of
from tuning_operator.cluster.gather import gather, holes
from tuning_operator.cluster.keyqueue import KeyQueue, QueueClosedError
from tuning_operator.cluster.lease import NotLeaderError
from tuning_operator.cluster.lister import Lister
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.refusals import Refusals
from tuning_operator.cluster.specs import read_study
from tuning_operator.cluster.statuses import Statuses, unreadable_status
from tuning_operator.cluster.store import Key, Known, Store
from tuning_operator.cluster.warmstart import Teachers
from tuning_operator.core.decide import decide
from tuning_operator.core.history import told
from tuning_operator.core.memo import Memo
from tuning_operator.core.model import Action, CreateTrial, Event, Plan, RecordAttempt, Snapshot, StartRun, Study, Trial
from tuning_operator.search.lookahead import Inputs, LookAhead
from tuning_operator.search.suggest import Problem
from tuning_operator.search.warmstart import Learned

log = logging.getLogger(__name__)

REREAD_SECONDS = 60.0
RUNNING_RECORDED_AFTER = 3.0
FINISHED_REREAD_SECONDS = 600.0
"""Also a finished study is looked for now and then: its deletion may have been missed."""


@dataclass(slots=True)
class Memory:
    """What is remembered of a study between two reconciles; all of it can be lost."""

    generation: int = -1
    problem: Problem | None = None
    tried_out: str = ""
    """The Job template for which a dry run has been made, and what it said."""
    refusal: str = ""
    tried_out_at: float = 0.0
    finished: bool = False
    hungry: bool = True
    """The very next trial has no suggestion yet: as soon as there is one, a slot may be filled."""
    learned: Learned | None = None
    """What earlier results teach; None as long as they have not been read."""
    learned_from: Sequence[WarmStart] = ()
    memo: Memo = field(default_factory=Memo)
    cap: Cap = field(default_factory=Cap)
    wished: dict[int, float] = field(default_factory=dict)
    """Trial numbers whose first suggestion is waited for, and since when."""


class Worker:
    def __init__(
        self,
        *,
        store: Store,
        queue: KeyQueue[Key],
        lister: Lister,
        actor: Actor,
        statuses: Statuses,
        refusals: Refusals,
        lookahead: LookAhead,
        teachers: Teachers,
        capping: Capping,
        meters: Meters,
        refuse: Callable[[StudySpec], tuple[str, ...]] = lambda spec: (),
        absence: Callable[[StudySpec], str] = lambda spec: "",
        service_accounts: Callable[[str], Collection[str]] = lambda namespace: (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._queue = queue
        self._lister = lister
        self._actor = actor
        self._statuses = statuses
        self._refusals = refusals
        self._lookahead = lookahead
        self._teachers = teachers
        self._capping = capping
        self._meters = meters
        self._refuse = refuse
        """What this installation does not let studies do."""
        self._absence = absence
        """Why the kind that a study's trials are cannot be made now."""
        self._service_accounts = service_accounts
        """Which ones besides `default` studies of a namespace may use."""
        self._now = now

    def suggestion_ready(self, known: Known) -> None:
        """There is a suggestion more than before. Most are made ahead, and nobody waits for them."""
        if _memory(known).hungry:
            self._queue.add(known.key)

    def begin(self, known: Known) -> None:
        """Take into account what there was of a study before us."""
        self._read(known, _memory(known))
        if known.study is not None:
            self._capping.begin(known, known.study)

    def kinds_changed(self, known: Known) -> None:
        """A kind is there that was not, or is there no more: what the API server refused, it may take now."""
        memory = _memory(known)
        if memory.refusal:
            memory.tried_out_at = float("-inf")
        foreign = known.study is not None and kinds.named(known.study.spec.trial) is not None
        if foreign:
            known.problems.clear()
        if memory.refusal or (foreign and not memory.finished):
            self._queue.add(known.key)

    async def run(self) -> None:
        """Work until the queue is closed. Ends with `NotLeaderError` when the lease is lost."""
        while True:
            try:
                key = await self._queue.get()
            except QueueClosedError:
                return
            began = time.perf_counter()
            try:
                await self._reconcile(key)
                self._queue.forget(key)
            except NotLeaderError:
                raise
            except ApiError as error:
                delay = self._queue.retry(key)
                words = {"study": "/".join(key), "error": str(error), "retry_seconds": round(delay, 2)}
                log.warning("a reconcile failed", extra=words)
                self._meters.reconcile_failed()
            except Exception:
                delay = self._queue.retry(key)
                log.exception("a reconcile failed", extra={"study": "/".join(key), "retry_seconds": round(delay, 2)})
                self._meters.reconcile_failed()
            finally:
                self._queue.done(key)
                self._meters.reconciled(time.perf_counter() - began)

    async def _reconcile(self, key: Key) -> None:
        known = self._store.get(key)
        if known is None:
            return
        memory = _memory(known)
        if known.seen.deleting:
            self._lookahead.forget(known.uid)
            return  # owner references take everything along, whether or not we are there
        if not await self._fresh(known, memory):
            self._queue.add(key)  # another study may have the name now
            return
        self._read(known, memory)
        await self._learn(known, memory)
        if known.study is None:
            await self._statuses.write(known, unreadable_status(known, self._now()), events=(), at_once=True)
            return
        snapshot, plan = await self._plan(known, memory, known.study)
        if snapshot is None or plan is None:
            return
        await self._apply(known, memory, snapshot, plan)

    async def _fresh(self, known: Known, memory: Memory) -> bool:
        every = FINISHED_REREAD_SECONDS if memory.finished else REREAD_SECONDS
        if known.listed_at is not None and time.monotonic() - known.listed_at < every:
            return True
        for number in [number for number in known.problems if number not in known.trials]:
            del known.problems[number]  # a create that was refused is tried again
        return await self._lister.refresh(known)

    def _read(self, known: Known, memory: Memory) -> None:
        if memory.generation == known.seen.generation:
            if known.study is not None and known.study.labels != known.seen.labels:
                known.study = replace(known.study, labels=known.seen.labels)
            return
        known.study, memory.problem, known.invalid = read_study(
            known.seen, service_accounts=self._service_accounts(known.key[0])
        )
        if known.study is not None:
            known.invalid += self._refuse(known.study.spec)
            known.read_by(reading_of(known.study.spec))
        memory.generation = known.seen.generation
        memory.tried_out_at = 0.0

    async def _learn(self, known: Known, memory: Memory) -> None:
        """Once for each way in which the spec says it."""
        study = known.study
        if study is None or known.invalid:
            return
        if memory.learned is None or memory.learned_from != study.spec.warm_start:
            memory.learned = await self._teachers.teach(known, study)
            memory.learned_from = study.spec.warm_start

    async def _plan(self, known: Known, memory: Memory, study: Study) -> tuple[Snapshot | None, Plan | None]:
        suggestions = self._lookahead.ready(known.uid)
        for number in memory.wished.keys() & suggestions.keys():
            self._meters.suggested(time.monotonic() - memory.wished.pop(number))
        missing = [number for number in holes(known) if number not in suggestions]
        if missing:
            # Without them the ledger has a gap. They come from the same inputs as before, so they are the same.
            self._request(known, memory, _observed(known, study, memory), missing)
            return None, None
        look_again = await self._refusals.look(known)
        if look_again is not None:
            self._queue.add_after(known.key, look_again)
        snapshot, plan = self._decide(known, study, suggestions, memory)
        first = next((action for action in plan.actions if isinstance(action, CreateTrial | StartRun)), None)
        if first is not None or memory.refusal:
            template = _template_key(study)
            again = bool(memory.refusal) and time.monotonic() - memory.tried_out_at > REREAD_SECONDS
            if first is not None and template != memory.tried_out:
                memory.refusal = await self._actor.try_out(study, first, snapshot.trials) or ""
                memory.tried_out, memory.tried_out_at = template, time.monotonic()
                snapshot, plan = self._decide(known, study, suggestions, memory)
            elif memory.refusal and (again or template != memory.tried_out):
                memory.refusal, memory.tried_out = "", ""
                self._queue.add(known.key)
        return snapshot, plan

    def _decide(
        self, known: Known, study: Study, suggestions: Mapping[int, Any], memory: Memory
    ) -> tuple[Snapshot, Plan]:
        seen = gather(
            known,
            study,
            suggestions=suggestions,
            exhausted=self._lookahead.exhausted(known.uid),
            stuck=self._lookahead.stuck(known.uid),
            invalid=(memory.refusal,) if memory.refusal else (),
            absence=self._absence(study.spec),
            learned=memory.learned or Learned(),
        )
        snapshot = self._capping.cap(memory.cap, known, seen)
        plan = decide(snapshot, self._now(), memo=memory.memo)
        for key in self._capping.settle(memory.cap, known, plan):
            self._queue.add(key)
        return snapshot, plan

    async def _apply(self, known: Known, memory: Memory, snapshot: Snapshot, plan: Plan) -> None:
        study = snapshot.study
        actions, later = _without_haste(plan.actions, snapshot.trials, self._now())
        wrote = await self._actor.act(known, study, actions, snapshot.trials)
        await self._statuses.tell(known, climbs(actions, snapshot.trials) + self._capping.news(memory.cap, known))
        if plan.suggest and memory.problem is not None:
            # Told of what was just created: else its points would be suggested a second time, and tried, if the slots
            # for them free together.
            numbers = [*holes(known), *plan.suggest]
            self._request(known, memory, replace(snapshot, trials=_there(known)), numbers)
        elif plan.finished:
            self._lookahead.forget(known.uid)
        wait = await self._statuses.write(
            known, plan.status, events=plan.events, at_once=plan.finished and not memory.finished
        )
        memory.finished = plan.finished
        key = known.key
        if wrote:
            # What was written is news for the next decision. It is a pure function of it, so it may come at once.
            self._queue.add(key)
        else:
            due = FINISHED_REREAD_SECONDS if plan.requeue_after is None else min(plan.requeue_after, REREAD_SECONDS)
            self._queue.add_after(key, due)
        for delay in (wait, later):
            if delay is not None:
                self._queue.add_after(key, delay)

    def _request(self, known: Known, memory: Memory, snapshot: Snapshot, numbers: list[int]) -> None:
        if memory.problem is None:
            return
        ready, now = self._lookahead.ready(known.uid), time.monotonic()
        memory.hungry = numbers[0] not in ready
        memory.wished = {number: memory.wished.get(number, now) for number in numbers if number not in ready}
        what = told(snapshot, memo=memory.memo)
        self._lookahead.request(known.uid, Inputs(memory.problem, what.history, what.running), numbers)


def _without_haste(
    actions: Sequence[Action], trials: Sequence[Trial], now: float
) -> tuple[tuple[Action, ...], float | None]:
    """Leaves out that a trial has just begun to run, or to wait in a queue: nothing depends on it, and what soon comes
    after says it too."""
    kept: list[Action] = []
    later: float | None = None
    restarted = {action.trial for action in actions if isinstance(action, StartRun)}
    for action in actions:
        if isinstance(action, RecordAttempt) and action.trial not in restarted and _only_begun(action, trials):
            since = action.started_at if action.state is TrialState.RUNNING else trials[action.trial].created_at
            left = (since or 0.0) + RUNNING_RECORDED_AFTER - now
            if 0 < left <= RUNNING_RECORDED_AFTER + 1:
                later = left if later is None else min(later, left)
                continue
        kept.append(action)
    return tuple(kept), later


def _only_begun(action: RecordAttempt, trials: Sequence[Trial]) -> bool:
    """It says nothing of what a trial has reached."""
    trial = trials[action.trial]
    begun = action.state is TrialState.RUNNING or (action.state is TrialState.QUEUED and action.started_at is None)
    return begun and action.rungs == trial.rungs and action.replicates == trial.replicates


def climbs(actions: Sequence[Action], trials: Sequence[Trial]) -> list[Event]:
    """That trials pause and are promoted, in the same words each time: so they are counted, not written one by one."""
    records = [action for action in actions if isinstance(action, RecordAttempt)]
    before = {action.trial: trials[action.trial].recorded_state for action in records}
    paused = any(a.state is TrialState.PAUSED and before[a.trial] is not TrialState.PAUSED for a in records)
    promoted = any(a.state is not TrialState.PAUSED and before[a.trial] is TrialState.PAUSED for a in records)
    events = []
    if paused:
        events.append(Event("Normal", "TrialsPaused", "trials wait at a rung; status.rungs is the table"))
    if promoted:
        events.append(Event("Normal", "TrialsPromoted", "paused trials go on to their next rung; see status.rungs"))
    return events


def _memory(known: Known) -> Memory:
    if known.extra is None:
        known.extra = Memory()
    memory: Memory = known.extra
    return memory


def _observed(known: Known, study: Study, memory: Memory) -> Snapshot:
    return Snapshot(study=study, trials=_there(known), earlier=memory.learned.observations if memory.learned else ())


def _there(known: Known) -> tuple[Trial, ...]:
    """The trials there are, with the gaps between them."""
    return tuple(known.trials[number].trial for number in sorted(known.trials))


def _template_key(study: Study) -> str:
    """What decides whether a Job is acceptable, apart from a trial's parameters."""
    spec = study.spec
    return json.dumps(
        [spec.trial.model_dump(mode="json"), spec.metrics.model_dump(mode="json")], sort_keys=True, default=str
    )
