"""From what is known of a study to the snapshot that is decided on. Pure.

A trial's end is seen on its pod, not on the Job, which the Job controller closes up to a second later. A Job speaks
only where no pod does: before there is one, when none could be created, when it is gone without last words, and when it
was deleted: by the Job controller, since a queue took its place back, or by somebody else. Of other kinds the object
speaks (`foreign.py`).
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from tuning_operator.api.sources import read_at_the_end
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.cluster import foreign
from tuning_operator.cluster.devices import CLAIMS
from tuning_operator.cluster.seen import JobSeen, PodSeen
from tuning_operator.cluster.store import Attempt, Known, Looked
from tuning_operator.cluster.together import together
from tuning_operator.core.model import QUEUED, Result, Run, RunState, Snapshot, Study, Trial
from tuning_operator.search.types import Suggestion
from tuning_operator.search.warmstart import Learned
from tuning_trial import exit_codes

_ITS_OWN = (exit_codes.DONE, exit_codes.INVALID_SETTING, exit_codes.OUT_OF_MEMORY, exit_codes.DIVERGED)
"""Exit codes that are the trial's own word, also when it was being stopped."""


def gather(
    known: Known,
    study: Study,
    *,
    suggestions: Mapping[int, Suggestion],
    exhausted: bool,
    stuck: str | None,
    learned: Learned,
    invalid: tuple[str, ...] = (),
    absence: str = "",
) -> Snapshot:
    trials = ledger(known, suggestions)
    runs = runs_of(known, late=read_at_the_end(study.spec))
    return Snapshot(
        study=study,
        trials=trials,
        runs=tuple(sorted(runs.values(), key=lambda run: (run.trial, run.attempt))),
        suggestions={number: made for number, made in suggestions.items() if number >= len(trials)},
        earlier=learned.observations,
        learned=learned.notes,
        exhausted=exhausted,
        stuck=stuck,
        invalid=known.invalid + invalid + _refused_trials(known),
        absence=absence,
        problems=tuple(known.problems.values()),
        previous_status=known.seen.status,
    )


def holes(known: Known) -> list[int]:
    """Numbers of the search that have no trial, though there are later ones: its creates run side by side, and a crash
    may leave a gap.
    """
    return [number for number in range(_end_of_search(known)) if number not in known.trials]


def ledger(known: Known, suggestions: Mapping[int, Suggestion]) -> tuple[Trial, ...]:
    """The trials in order. A hole stands as a trial that was decided on and is still to be created.

    Where its suggestion is not ready, the caller must wait: a ledger with a gap would be numbered anew. What comes
    after the search is created in its order: if one of those is missing, somebody has deleted it.
    """
    end = _end_of_search(known)
    return tuple(
        known.trials[number].trial
        if number in known.trials
        else _to_be_created(number, suggestions[number])
        if number < end
        else _deleted(number)
        for number in range(max(known.trials, default=-1) + 1)
    )


def _end_of_search(known: Known) -> int:
    """Numbers below it are of the search, all of them or as far as anything is known."""
    after = [number for number, seen in known.trials.items() if seen.trial.role is not Role.SEARCH]
    if not after:
        return max(known.trials, default=-1)
    end = min(after)
    most = known.study.spec.limits.trials if known.study is not None else None
    if most is not None and end - 1 not in known.trials:
        return min(end, most)  # the first of those after the search may be what is missing
    return end


def runs_of(known: Known, *, late: bool = False) -> dict[Attempt, Run]:
    """Every attempt of which something is seen. `late`: values are complete only some time after an end."""
    jobs = {(job.trial, job.attempt): job for job in known.jobs.values() if _ours(known, job)}
    pods: dict[Attempt, dict[int, PodSeen]] = {}
    parts: dict[Attempt, list[PodSeen]] = {attempt: [] for attempt, job in jobs.items() if job.foreign}
    left = {job.identity.uid: job for job in known.jobs.values() if _left(known, job)}
    remains: dict[Attempt, list[PodSeen]] = {_attempt_of(known, job): [] for job in left.values()}
    for pod in known.pods.values():
        if pod.trial not in known.trials or pod.identity.owner_uid in left:
            if not (pod.ended or pod.gone):
                remains.setdefault(_attempt_of(known, pod), []).append(pod)
            continue
        attempt = pod.trial, pod.attempt
        job = jobs.get(attempt)
        if pod.foreign:
            # Its object is not its owner; it is younger than the object, or another's that had this name before.
            if job is None or (job.foreign and pod.created_at >= job.created_at):
                parts.setdefault(attempt, []).append(pod)
            continue
        if job is not None and pod.identity.owner_uid != job.identity.uid:
            continue  # of a Job that had this name before
        workers = pods.setdefault(attempt, {})
        if pod.index not in workers or _rank(pod) > _rank(workers[pod.index]):
            workers[pod.index] = pod
    runs = {}
    for attempt, group in parts.items():
        runs[attempt] = _foreign(known, jobs.get(attempt), group, late=late)
    for attempt in (jobs.keys() | pods.keys()) - parts.keys():
        job = jobs.get(attempt)
        found = together(pods[attempt], job) if attempt in pods else None
        run = _of_pod(found, job, known.refused) if found is not None else _of_job(jobs[attempt], known.refused)
        looked = known.looked.get(attempt, Looked())
        if late and found is not None and not looked.complete and _to_be_read(found):
            run = replace(run, reading=True)
        if found is not None and known.study is not None:
            each = _accelerators(found.devices, known.study.spec.trial.accelerator.resource)
            run = replace(run, accelerators=None if each is None else each * (1 if job is None else job.workers))
        runs[attempt] = _with_values(run, looked)
    for attempt, group in remains.items():
        runs.setdefault(attempt, _remains(known, attempt, group))
    return runs


def _remains(known: Known, attempt: Attempt, pods: list[PodSeen]) -> Run:
    """What is left of a trial that somebody has deleted says nothing of the one that is made in its place, which waits
    until it is gone: the names are the same."""
    run = Run(*attempt, RunState.STOPPING, created_at=min((pod.created_at for pod in pods), default=0.0))
    if known.study is None or not pods:
        return run
    held = [device for pod in pods for device in pod.devices]
    return replace(run, accelerators=_accelerators(held, known.study.spec.trial.accelerator.resource))


def _attempt_of(known: Known, seen: JobSeen | PodSeen) -> Attempt:
    """Of the trial as it is now, an attempt that it has come to."""
    trial = known.trials.get(seen.trial)
    return seen.trial, min(seen.attempt, 0 if trial is None else trial.trial.attempt)


def _foreign(known: Known, job: JobSeen | None, pods: list[PodSeen], *, late: bool) -> Run:
    run = foreign.run_of(job, pods, known.reading)
    looked = known.looked.get((run.trial, run.attempt), Looked())
    main = foreign.main_pod(pods, known.reading)
    if late and run.state is RunState.ENDED and main is not None and not looked.complete and _to_be_read(main):
        run = replace(run, reading=True)
    if known.study is not None and pods:
        held = foreign.devices(pods, known.reading)
        run = replace(run, accelerators=_accelerators(held, known.study.spec.trial.accelerator.resource))
    return _with_values(run, looked)


def _accelerators(devices: Iterable[tuple[str, int]], resource: str) -> int | None:
    """What is held of that vendor's devices, whole ones or parts (MIG), and by claims."""
    domain, slash, _ = resource.partition("/")
    if not slash:
        return None  # a resource of Kubernetes itself, whose amounts are no numbers of devices
    domain += slash
    return sum(count for name, count in devices if name == CLAIMS or name.startswith(domain))


def _to_be_read(pod: PodSeen) -> bool:
    """Its source may still have values that it did not leave itself."""
    return pod.ended and pod.report is None and not pod.gone and not pod.disrupted


def _with_values(run: Run, looked: Looked) -> Run:
    """What was seen counts where there are no last words, and for rungs that these leave out."""
    seen = looked.report
    if seen is None and looked.at is None and not looked.trouble:
        return run
    if run.report is None:
        unread = run.unread and seen is None
        return replace(run, report=seen, unread=unread, looked_at=looked.at, trouble=looked.trouble or run.trouble)
    if seen is None or seen.rungs.keys() <= run.report.rungs.keys():
        return run
    return replace(run, report=replace(run.report, rungs={**seen.rungs, **run.report.rungs}))


def _ours(known: Known, job: JobSeen) -> bool:
    trial = known.trials.get(job.trial)
    return trial is not None and job.identity.owner_uid == trial.identity.uid


def _left(known: Known, job: JobSeen) -> bool:
    """Of a trial that is gone. What has no owner is not ours, or not any more, and nobody collects it."""
    return bool(job.identity.owner_uid) and not _ours(known, job)


def _rank(pod: PodSeen) -> tuple[bool, float]:
    return not pod.gone, pod.created_at


def _of_pod(pod: PodSeen, job: JobSeen | None, refused: Mapping[str, tuple[str, str]]) -> Run:
    active = job is not None and not (job.deleting or job.ended or job.failed)
    stopping = pod.deleting or (job is not None and (job.deleting or (active and job.suspended)))
    run = Run(
        trial=pod.trial,
        attempt=pod.attempt,
        state=RunState.WAITING,
        created_at=job.created_at if job is not None else pod.created_at,
        started_at=pod.started_at,
        ended_at=pod.ended_at,
        reason=pod.reason,
        message=pod.message,
        disrupted=pod.disrupted,
        report=pod.report,
        looked_at=pod.looked_at,
    )
    if job is not None and active and _swept(pod):
        if job.suspended or job.began_at is None or pod.created_at < job.began_at:
            # Its place was taken back. What stands on the Job now is what it waits for; what it ran, ran.
            waiting = _of_job(job, refused)
            return replace(run, reason=QUEUED, message=waiting.message or "its Job is let run again")
        # By whom only the Job can say: it fails, or is suspended, a moment later.
        return replace(run, state=RunState.STOPPING)
    if pod.ended:
        overtime = job is not None and job.reason == "DeadlineExceeded" and pod.exit_code != 0
        # Deleted, but not by us, who record why before we stop: an attempt that was lost, whatever its exit code says.
        deleted = pod.deleting and not overtime and pod.exit_code != 0
        return replace(
            run,
            state=RunState.ENDED,
            exit_code=pod.exit_code,
            reason="DeadlineExceeded" if overtime else pod.reason,
            disrupted=pod.disrupted or deleted,
        )
    if pod.gone:
        return replace(run, state=RunState.ENDED, disrupted=True, message="its pod is gone without last words")
    if stopping:
        return replace(run, state=RunState.STOPPING)
    return replace(run, state=RunState.RUNNING) if pod.running else run


def _swept(pod: PodSeen) -> bool:
    """Deleted, with an end that says nothing of the trial, and not by an eviction or a preemption."""
    if pod.disrupted or pod.reason == "OOMKilled" or pod.exit_code in _ITS_OWN:
        return False
    return (pod.ended and pod.deleting) or (pod.gone and (pod.deleting or not pod.ended))


def _of_job(job: JobSeen, refused: Mapping[str, tuple[str, str]]) -> Run:
    run = Run(trial=job.trial, attempt=job.attempt, state=RunState.WAITING, created_at=job.created_at)
    if job.deleting:
        return replace(run, state=RunState.STOPPING)
    if job.ended and not job.failed:
        return replace(
            run,
            state=RunState.ENDED,
            exit_code=0,
            ended_at=job.ended_at,
            message="its pod is gone; only its Job says that it was done",
            unread=True,
        )
    if job.ended:
        overtime = job.reason == "DeadlineExceeded"
        reason = job.reason if overtime else ""
        return replace(
            run, state=RunState.ENDED, ended_at=job.ended_at, reason=reason, message=job.message, disrupted=not overtime
        )
    if job.suspended:
        what = f"it waits in queue {job.queue!r}" if job.queue else "it waits for whoever suspended it"
        return replace(run, reason=QUEUED, message=f"its Job is suspended: {what}", ended_at=job.suspended_at)
    reason, message = refused.get(job.identity.uid, ("", ""))
    return replace(run, reason=reason, message=message)


def _refused_trials(known: Known) -> tuple[str, ...]:
    """Trials that could not even be created: a matter for a person, of which no ledger tells."""
    problems = (problem for problem in known.problems.values() if problem.trial not in known.trials)
    return tuple(f"trial {problem.trial} cannot be created: {problem.message}" for problem in problems)


def _deleted(number: int) -> Trial:
    """A further run, or the final one, that was there: it counts as one that came to nothing."""
    return Trial(
        number=number,
        role=Role.CONFIRM,
        suggestion=Suggestion({}, by="Confirm", known=0),
        created_at=0.0,
        result=Result(TrialState.FAILED, "Deleted", "somebody has deleted the trial"),
        recorded_state=TrialState.FAILED,
    )


def _to_be_created(number: int, suggestion: Suggestion) -> Trial:
    return Trial(number=number, role=Role.SEARCH, suggestion=suggestion, created_at=0.0)
