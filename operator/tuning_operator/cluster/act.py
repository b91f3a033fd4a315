"""Applying a plan: idempotent writes, each answer going back into the store.

The actions of one trial follow each other in the plan's order; those of different trials run side by side, a few at a
time, those that start something first. A failed write stops its trial's further actions, not the others': the next
reconcile finds what is missing.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from tuning_operator.api import kinds, names
from tuning_operator.api.trial import Role
from tuning_operator.cluster import rendezvous
from tuning_operator.cluster.client import SERVICES, TRIALS, Api, Kind, Object
from tuning_operator.cluster.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
)
from tuning_operator.cluster.holdings import most_accelerators
from tuning_operator.cluster.jobs import JobSettings, job_for, owner_reference
from tuning_operator.cluster.meters import Meters
from tuning_operator.cluster.policy import Policy, violation
from tuning_operator.cluster.records import attempt_status, result_status, trial_body
from tuning_operator.cluster.seen import Identity, JobSeen, trial_seen
from tuning_operator.cluster.store import Known, Store
from tuning_operator.cluster.trial_kinds import TrialKinds, not_installed
from tuning_operator.core.model import (
    Action,
    CreateTrial,
    RecordAttempt,
    RecordResult,
    StartProblem,
    StartRun,
    StopRun,
    Study,
    Trial,
)
from tuning_operator.core.naming import job_name, object_name
from tuning_operator.core.stalls import KIND_NOT_INSTALLED
from tuning_operator.core.templates import TemplateError

log = logging.getLogger(__name__)

AT_ONCE = 16
"""Writes of one study that are under way together: more only queue up in the API server."""


class Actor:
    def __init__(
        self,
        api: Api,
        store: Store,
        settings: JobSettings,
        *,
        now: Callable[[], float],
        meters: Meters,
        policy: Policy,
        trial_kinds: TrialKinds,
    ) -> None:
        self._api = api
        self._store = store
        self._settings = settings
        self._now = now
        self._meters = meters
        self._policy = policy
        self._kinds = trial_kinds

    async def act(self, known: Known, study: Study, actions: tuple[Action, ...], trials: tuple[Trial, ...]) -> bool:
        """Whether anything came of it. Raises the first error that a repetition may cure; what the API server refuses
        for good becomes a problem."""
        chains: dict[int, list[Action]] = defaultdict(list)
        for action in actions:
            chains[_number(action)].append(action)
        ledger = {trial.number: trial for trial in trials}
        slots = asyncio.Semaphore(AT_ONCE)

        async def follow(chain: list[Action]) -> bool:
            done = False
            async with slots:
                for action in chain:
                    done |= await self._do(known, study, action, ledger)
                    if isinstance(action, CreateTrial) and action.number not in known.trials:
                        break  # it was refused: what hangs on it, or comes after it, must wait
            return done

        # What fills slots goes alone: in a swarm of ends, records would make it wait in the API server.
        in_their_order(chains)
        starts = [chain for chain in chains.values() if any(isinstance(action, StartRun) for action in chain)]
        others = [chain for chain in chains.values() if chain not in starts]
        results: list[bool | BaseException] = []
        for group in (starts, others):
            results += await asyncio.gather(*(follow(chain) for chain in group), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return any(results)

    async def try_out(self, study: Study, action: CreateTrial | StartRun, trials: tuple[Trial, ...]) -> str | None:
        """Why the study's Jobs would be refused whatever their parameters, as a strict dry run of the first one
        says."""
        if isinstance(action, CreateTrial):
            trial = Trial(action.number, action.role, action.suggestion, created_at=self._now())
        else:
            trial = trials[action.trial]
        owner = owner_reference(names.STUDY_KIND, name=study.name, uid=study.uid)
        try:
            job = job_for(study, trial, attempt=0, owner=owner, settings=self._settings)
            self._check(job, study)
            await self._api.create(self._kinds.resource_of(study.spec.trial), study.namespace, job, dry_run=True)
        except (TemplateError, PolicyViolationError) as error:
            return str(error)
        except InvalidError as error:
            kind = kinds.named(study.spec.trial)
            what = "a Job" if kind is None else f"the {kind.kind}"
            return f"spec.trial.template: the API server refuses {what} made from it: {error.message}"
        except NotFoundError:
            missing = _missing_kind(study)
            if missing is None:
                raise
            return str(missing)
        except (ForbiddenError, AlreadyExistsError):
            return None  # quota and admission policies may change; the real create says it again and is tried again
        return None

    async def _do(self, known: Known, study: Study, action: Action, ledger: dict[int, Trial]) -> bool:
        match action:
            case CreateTrial():
                return await self._create_trial(known, study, action)
            case StartRun():
                return await self._start(known, study, action, ledger)
            case StopRun():
                return await self._stop(known, action)
            case RecordAttempt():
                return await self._spend(known, study, action.trial, attempt_status(action))
            case RecordResult():
                return await self._spend(known, study, action.trial, result_status(action))

    async def _spend(self, known: Known, study: Study, number: int, status: Object) -> bool:
        """Record, and count what the attempt cost that this is the end of."""
        before = known.trials.get(number)
        done = await self._record(known, number, status)
        after = known.trials.get(number)
        if before is not None and after is not None and after.identity.uid == before.identity.uid:
            cost = after.trial.accelerator_seconds - before.trial.accelerator_seconds
            self._meters.spent(study.spec.trial.accelerator.resource, cost)
        return done

    async def _create_trial(self, known: Known, study: Study, action: CreateTrial) -> bool:
        body = trial_body(study, action)
        try:
            created = await self._create(TRIALS, body, owner=study.uid)
        except (ForbiddenError, InvalidError, _NameConflictError) as error:
            self._problem(known, action.number, 0, error)
            return True
        seen = trial_seen(created)
        if seen is not None:
            self._store.put(seen)
        return True

    async def _start(self, known: Known, study: Study, action: StartRun, ledger: dict[int, Trial]) -> bool:
        if action.trial not in known.trials and action.trial in ledger:
            # A hole of the ledger: decided on before a crash, never created.
            trial = ledger[action.trial]
            await self._create_trial(known, study, CreateTrial(trial.number, trial.role, trial.suggestion))
        seen = known.trials.get(action.trial)
        if seen is None:
            return False  # its create was refused and says so
        try:
            owner = owner_reference(names.TRIAL_KIND, name=seen.identity.name, uid=seen.identity.uid)
            job = job_for(study, seen.trial, attempt=action.attempt, owner=owner, settings=self._settings)
            self._check(job, study)
            if study.spec.trial.workers > 1 and not known.named:
                await self._name_pods(known, study)
            self._meters.slot_filled(known.uid)
            kind = self._kinds.resource_of(study.spec.trial)
            created = await self._create(kind, job, owner=seen.identity.uid)
        except (ForbiddenError, InvalidError, TemplateError, PolicyViolationError, _NameConflictError) as error:
            self._problem(known, action.trial, action.attempt, error)
            return True
        except NotFoundError:
            missing = _missing_kind(study)
            if missing is None:
                raise
            self._problem(known, action.trial, action.attempt, missing)
            return True
        known.problems.pop(action.trial, None)
        started = self._kinds.decode(kind, created)
        if started is not None and self._store.put(started) is not None:
            self._meters.wrote(started.identity.uid)
        return True

    def _check(self, job: Object, study: Study) -> None:
        most = most_accelerators(study.spec) if self._policy.capped(study.namespace) else None
        rules, accelerator = self._policy.of(study.namespace), study.spec.trial.accelerator
        try:
            broken = violation(job, rules, namespace=study.namespace, accelerator=accelerator, most=most)
        except (AttributeError, TypeError, KeyError, IndexError) as error:
            raise TemplateError(f"spec.trial.template: is not shaped like what it names ({error})") from error
        if broken is not None:
            raise PolicyViolationError(broken)

    async def _name_pods(self, known: Known, study: Study) -> None:
        """Before the first Job whose pods must find each other."""
        owner = owner_reference(names.STUDY_KIND, name=study.name, uid=study.uid)
        await self._create(SERVICES, rendezvous.service(study, owner=owner), owner=study.uid)
        known.named = True

    async def _create(self, kind: Kind, body: Object, *, owner: str) -> Object:
        """Create, or find that this was done already. Somebody else's object under our name is left alone."""
        namespace, name = body["metadata"]["namespace"], body["metadata"]["name"]
        try:
            return await self._api.create(kind, namespace, body)
        except AlreadyExistsError:
            found = await self._api.get(kind, namespace, name)
        owners = [reference["uid"] for reference in found["metadata"].get("ownerReferences") or ()]
        if owner not in owners:
            raise _NameConflictError(f"{kind.plural} {name!r} exists and is not ours: delete or rename it")
        return found

    async def _stop(self, known: Known, action: StopRun) -> bool:
        trial = known.trials.get(action.trial)
        if trial is None:
            return False
        ours = {make(trial.identity.name, action.attempt) for make in (job_name, object_name)}
        jobs = [job for name in ours if (job := known.jobs.get(name)) is not None and not job.deleting]
        for job in jobs:
            await self._delete(known, job)
        return bool(jobs)

    async def _delete(self, known: Known, job: JobSeen) -> None:
        try:
            deleted = await self._api.delete(job.kind, job.identity.namespace, job.identity.name, uid=job.identity.uid)
        except (NotFoundError, ConflictError):
            self._store.remove(job, at=self._now())
            return
        seen = None if deleted.get("kind") == "Status" else self._kinds.decode(job.kind, deleted)
        if seen is not None:
            self._store.put(seen)
        elif job.identity.name in known.jobs:
            known.jobs[job.identity.name] = replace(job, deleting=True)

    async def _record(self, known: Known, number: int, status: Object) -> bool:
        """Written only over the state that was decided on; a result that stands already is never touched (P3)."""
        for attempt in range(3):
            seen = known.trials.get(number)
            if seen is None:
                return False
            if seen.trial.result is not None:
                raise _changed(number)
            identity = seen.identity
            body = {"metadata": {"uid": identity.uid, "resourceVersion": str(identity.version)}, "status": status}
            try:
                answer, ours = await self._written(identity, body)
            except NotFoundError:
                self._store.remove(seen, at=self._now())
                raise _changed(number) from None
            fresh = trial_seen(answer)
            if fresh is None or fresh.identity.uid != identity.uid:
                self._store.remove(seen, at=self._now())
                raise _changed(number)
            self._store.put(fresh)
            if ours or _says(answer, status):
                return True
            if fresh.trial != seen.trial or attempt == 2:
                raise _changed(number)
        return True

    async def _written(self, identity: Identity, body: Object) -> tuple[Object, bool]:
        """The trial as it stands now, and whether that is what was to be written."""
        try:
            return await self._api.merge(TRIALS, identity.namespace, identity.name, body, subresource="status"), True
        except ConflictError:
            return await self._api.get(TRIALS, identity.namespace, identity.name), False

    def _problem(self, known: Known, number: int, attempt: int, error: Exception) -> None:
        now = self._now()
        before = known.problems.get(number)
        since = before.since if before is not None and before.attempt == attempt else now
        reason, message = _words(error)
        log.warning(
            "a trial cannot be started",
            extra={
                "study": "/".join(known.key),
                "trial": number,
                "attempt": attempt,
                "reason": reason,
                "error": message,
            },
        )
        known.problems[number] = StartProblem(number, attempt, reason, message, since=since, tried_at=now)


class PolicyViolationError(Exception):
    """The Job would do what the administrator's policy does not allow."""


class _KindMissingError(Exception):
    """The kind of a study's trials is not, or no longer, installed."""


class _NameConflictError(Exception):
    """An object that is not ours has the name that is ours."""


def _missing_kind(study: Study) -> _KindMissingError | None:
    """Jobs are always there: what is not found is something else."""
    kind = kinds.named(study.spec.trial)
    return None if kind is None else _KindMissingError(not_installed(kind))


def in_their_order(chains: dict[int, list[Action]]) -> None:
    """What comes after the search is created one after the other: a hole of the ledger is always of the search."""
    after = sorted(
        number
        for number, chain in chains.items()
        if any(isinstance(action, CreateTrial) and action.role is not Role.SEARCH for action in chain)
    )
    for number in after[1:]:
        chains[after[0]] += chains.pop(number)


def _number(action: Action) -> int:
    return action.number if isinstance(action, CreateTrial) else action.trial


def _changed(number: int) -> ConflictError:
    """Another state of the trial stands than the one that was decided on; what follows from that must not be done."""
    return ConflictError(409, "Conflict", f"trial {number} has changed, or is gone: it is decided on again")


def _says(answer: Object, status: Object) -> bool:
    """Whether the object now says what was to be written (the schema may have added defaults)."""
    found = answer.get("status") or {}
    return all(found.get(key) == value for key, value in status.items() if key != "result")


def _words(error: Exception) -> tuple[str, str]:
    if isinstance(error, _NameConflictError):
        return "NameConflict", str(error)
    if isinstance(error, _KindMissingError):
        return KIND_NOT_INSTALLED, str(error)
    if isinstance(error, PolicyViolationError):
        return "PolicyViolation", str(error)
    if isinstance(error, TemplateError):
        return "InvalidTemplate", str(error)
    if isinstance(error, ApiError):
        if "exceeded quota" in error.message:
            return "QuotaExceeded", error.message
        return error.reason or type(error).__name__, error.message
    return type(error).__name__, str(error)
