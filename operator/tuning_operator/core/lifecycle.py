"""What the end of a run means for its trial: a result, another attempt, or patience.

Stops that we ask for ourselves (end of the study, suspension, timeout) are recorded before they are asked for and
never classified here: whatever ends here ended without us.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from tuning_operator.api.study import Evaluate, StudySpec
from tuning_operator.api.trial import Role, TrialState
from tuning_operator.core.model import OBJECT_FAILED, Result, Run, Trial
from tuning_operator.core.objectives import broken_constraints, metrics_of, summarize
from tuning_operator.core.rungs import NOT_PROMOTED, UNPROMISING, generation_done
from tuning_trial import exit_codes
from tuning_trial.report import Report

DISRUPTIONS_MAX: Final = 20
"""Attempts lost without a fault of the trial, until it is given up: a node pool can be bad, a trial can bring nodes
down.
"""
BOUND_STARTS_MAX: Final = 2
"""Where parameters are bound to the Job, they may keep the command from starting: then others get their turn."""
UNREAD_SECONDS: Final = 30.0
"""How long a pod of which only its Job's end is known may still be on its way to be seen."""
COMPLETED: Final = "Completed"
PLATEAU: Final = "Plateau"
DEADLINE_EXCEEDED: Final = "DeadlineExceeded"
METRICS_UNAVAILABLE: Final = "MetricsUnavailable"
START_FAILED: Final = "StartFailed"

_INFEASIBLE_CODES: Final = (exit_codes.INVALID_SETTING, exit_codes.OUT_OF_MEMORY, exit_codes.DIVERGED)
_CODES: Final = {
    exit_codes.INVALID_SETTING: "the trial says its setting is invalid",
    exit_codes.OUT_OF_MEMORY: "out of memory",
    exit_codes.DIVERGED: "the loss or the objective is not finite",
    126: "the command cannot be executed",
    127: "the command was not found",
    137: "killed (SIGKILL)",
    139: "crashed (SIGSEGV)",
}
_START_REASONS: Final = frozenset({"StartError", "ContainerCannotRun", "CommandNotFound"})
_START_CODES: Final = (126, 127)


class Again(StrEnum):
    """Why a trial gets another attempt."""

    RETRY = "it asked for one"
    DISRUPTION = "it was lost without its fault"
    START = "it could not start, as no trial of the study could yet"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Exactly one of the three is set."""

    result: Result | None = None
    again: Again | None = None
    wait_until: float | None = None


def judge(trial: Trial, run: Run, spec: StudySpec, *, now: float, proven: bool) -> Verdict:
    """What an ended run means. `proven`: some trial of the study came as far as to report something."""
    code = run.exit_code
    if run.reason == DEADLINE_EXCEEDED:
        return _failed(spec, run, DEADLINE_EXCEEDED, run.message or _timeout_message(spec))
    if code in _INFEASIBLE_CODES:
        return _failed(spec, run, exit_codes.REASONS[code], _describe(run), infeasible=True)
    if run.reason == "OOMKilled":
        message = f"the kernel killed it for its memory (exit code {code}): {run.message}".removesuffix(": ")
        return _failed(spec, run, "OutOfMemory", message, infeasible=True)
    if run.unread:
        until = _end(run) + max(spec.metrics.wait_seconds, UNREAD_SECONDS)
        return Verdict(wait_until=until) if now < until else _again(trial, run, spec, Again.DISRUPTION)
    if code == exit_codes.DONE and not (run.disrupted and not _done(run.report)):
        return _done_verdict(trial, run, spec, now=now)
    if code == exit_codes.STOPPED and generation_done(spec, trial, run.report):
        return _done_verdict(trial, run, spec, now=now)
    if not run.disrupted and run.reason == OBJECT_FAILED:
        return _failed(spec, run, OBJECT_FAILED, _describe(run))
    if run.disrupted or (code is None and run.reason not in _START_REASONS):
        return _again(trial, run, spec, Again.DISRUPTION)
    if code in (exit_codes.TRY_AGAIN, exit_codes.STOPPED):
        return _again(trial, run, spec, Again.RETRY)
    if failed_to_start(run):
        if not proven and not (spec.trial.bind and run.attempt >= BOUND_STARTS_MAX):
            return Verdict(again=Again.START)
        return _failed(spec, run, START_FAILED, _describe(run))
    return _failed(spec, run, "NonZeroExit", _describe(run))


def plateau(trial: Trial, run: Run, spec: StudySpec, *, now: float) -> Result | None:
    """What a run comes to whose own curve stands still; None for one that may train on, and for a final run."""
    rule, report = spec.scheduler.plateau, run.report
    best = None if report is None else report.best.get(spec.objectives[0].metric)
    if rule is None or report is None or best is None or trial.role is Role.FINAL:
        return None
    if report.step < rule.min or report.step - best.step < rule.steps:
        return None
    message = f"no better {spec.objectives[0].metric} since step {best.step}, at step {report.step} (scheduler.plateau)"
    result = _done_verdict(trial, run, spec, now=now, reason=PLATEAU, message=message).result
    return result if result is not None and result.state is TrialState.SUCCEEDED else None


def timed_out(spec: StudySpec, run: Run) -> Result:
    """The result of a run that we stop because its attempt took too long."""
    return _result(spec, run.report, TrialState.FAILED, DEADLINE_EXCEEDED, _timeout_message(spec))


def stopped(spec: StudySpec, run: Run | None, *, reason: str, message: str) -> Result:
    """The result of a trial that is not needed any more. What it reported is kept, but never counts for the best."""
    return _result(spec, None if run is None else run.report, TrialState.STOPPED, reason, message)


def unpromising(spec: StudySpec, trial: Trial, run: Run | None) -> Result:
    """The result of a trial that its scheduler ends at the rung it has just reached."""
    last = trial.rungs[-1]
    if last.infeasible:
        message = f"a value at step {last.budget} is NaN or infinite"
    else:
        reached = ", ".join(f"{metric} {value:.6g}" for metric, value in last.values.items())
        message = f"{reached} at step {last.budget} is not among the best there (scheduler.name: {spec.scheduler.name})"
    report = None if run is None else run.report
    return _result(spec, report, TrialState.STOPPED, UNPROMISING, message, infeasible=last.infeasible)


def not_promoted(spec: StudySpec, trial: Trial, *, why: str) -> Result:
    """The result of a paused trial that will not go on; with what it reached."""
    last = trial.rungs[-1]
    result = _result(spec, None, TrialState.STOPPED, NOT_PROMOTED, f"paused at step {last.budget}: {why}")
    return replace(result, values=dict(last.values), step=last.budget)


def never_started(spec: StudySpec, *, reason: str, message: str) -> Result:
    """The result of a trial whose own parameters keep it from starting, while others start."""
    return _result(
        spec, None, TrialState.FAILED, START_FAILED, f"{reason}: {message}".removesuffix(": "), infeasible=True
    )


def failed_to_start(run: Run) -> bool:
    """Its command did not even begin. A program that begins and fails at once is something else: a failure."""
    return run.report is None and (run.exit_code in _START_CODES or run.reason in _START_REASONS)


def values_due(run: Run, spec: StudySpec) -> float:
    """Until when the values of an ended run are waited for."""
    return _end(run) + spec.metrics.wait_seconds


def accelerator_seconds(spec: StudySpec, run: Run, until: float) -> float:
    """Accelerators times seconds of one attempt; nothing before it started to run."""
    if run.started_at is None:
        return 0.0
    end = run.ended_at if run.ended_at is not None else until
    return accelerators(spec, run) * max(0.0, end - run.started_at)


def accelerators(spec: StudySpec, run: Run | None = None) -> int:
    """Of one trial; what is seen of a run comes before what the study says, as parameters may choose it."""
    if run is not None and run.accelerators is not None:
        return run.accelerators
    return spec.trial.accelerator.count * spec.trial.workers


def _done_verdict(
    trial: Trial, run: Run, spec: StudySpec, *, now: float, reason: str = COMPLETED, message: str = ""
) -> Verdict:
    if trial.role is Role.FINAL:
        return _final_verdict(run, spec, now=now)
    summary = summarize(run.report, spec.objectives)
    if summary.not_finite:
        names = ", ".join(summary.not_finite)
        return _failed(
            spec, run, "NotFinite", f"the trial ended with NaN or an infinite value of {names}", infeasible=True
        )
    if summary.missing:
        until = values_due(run, spec)
        if now < until:
            return Verdict(wait_until=until)
        return _failed(spec, run, METRICS_UNAVAILABLE, _missing_message(run, summary.missing, spec))
    metrics = metrics_of(run.report, [constraint.metric for constraint in spec.constraints])
    unknown = tuple(each.metric for each in spec.constraints if each.metric not in metrics)
    if unknown:
        until = values_due(run, spec)
        if now < until:
            return Verdict(wait_until=until)
        return _failed(spec, run, METRICS_UNAVAILABLE, _missing_message(run, unknown, spec))
    broken = broken_constraints(spec.constraints, metrics)
    if broken:
        result = _result(
            spec, run.report, TrialState.SUCCEEDED, "ConstraintViolated", "; ".join(broken), infeasible=True
        )
    else:
        result = _result(spec, run.report, TrialState.SUCCEEDED, reason, message)
    return Verdict(result=result)


def _final_verdict(run: Run, spec: StudySpec, *, now: float) -> Verdict:
    """The final run owes no objective: it trains on the validation data, too. It owes test metrics if they were asked
    for.
    """
    if run.report is None and spec.final is not None and spec.final.evaluate is not Evaluate.NONE:
        until = values_due(run, spec)
        if now < until:
            return Verdict(wait_until=until)
        return _failed(spec, run, METRICS_UNAVAILABLE, "the final run ended without a report")
    return Verdict(result=_result(spec, run.report, TrialState.SUCCEEDED, COMPLETED, ""))


def _again(trial: Trial, run: Run, spec: StudySpec, why: Again) -> Verdict:
    if why is Again.RETRY and trial.retries >= spec.trial.retries:
        tries = f"{trial.retries + 1} attempts, {spec.trial.retries} retries allowed (trial.retries)"
        return _failed(spec, run, "RetriesExhausted", f"{_describe(run)}; {tries}")
    if why is Again.DISRUPTION and trial.disruptions >= DISRUPTIONS_MAX:
        message = f"lost {trial.disruptions + 1} times to evictions, preemptions or deletions; last: {_describe(run)}"
        return _failed(spec, run, "TooManyDisruptions", message)
    return Verdict(again=why)


def _failed(spec: StudySpec, run: Run, reason: str, message: str, *, infeasible: bool = False) -> Verdict:
    return Verdict(result=_result(spec, run.report, TrialState.FAILED, reason, message, infeasible=infeasible))


def _result(
    spec: StudySpec, report: Report | None, state: TrialState, reason: str, message: str, *, infeasible: bool = False
) -> Result:
    objectives = [objective.metric for objective in spec.objectives]
    return Result(
        state=state,
        reason=reason[:128],
        message=message[:1024],
        values=dict(summarize(report, spec.objectives).values),
        metrics=metrics_of(report, objectives + [constraint.metric for constraint in spec.constraints]),
        infeasible=infeasible,
        step=None if report is None else report.step,
        artifacts={} if report is None else _artifacts(report),
    )


def _artifacts(report: Report) -> dict[str, str]:
    """At most 32, by name; the API server takes no longer ones."""
    usable = [(name, path) for name, path in sorted(report.artifacts.items()) if len(path) <= 1024]
    return dict(usable[:32])


def _done(report: Report | None) -> bool:
    return report is not None and report.done


def _end(run: Run) -> float:
    """When it ended; of an end that nobody timed, the earliest it can have been, so that no wait is for ever."""
    return next((at for at in (run.ended_at, run.started_at) if at is not None), run.created_at)


def _describe(run: Run) -> str:
    """The trial's own words before the world's, after the exit code."""
    parts = []
    if run.exit_code is not None:
        known = _CODES.get(run.exit_code)
        parts.append(f"exit code {run.exit_code}" + (f" ({known})" if known else ""))
    elif run.reason:
        parts.append(run.reason)
    if run.report is not None and run.report.error is not None:
        parts.append(f"{run.report.error.reason}: {run.report.error.message}")
    elif run.message:
        parts.append(run.message)
    elif run.exit_code is not None and run.reason not in ("", "Error"):
        parts.append(run.reason)
    return ": ".join(parts) or "it was gone without an exit code"


def _missing_message(run: Run, missing: tuple[str, ...], spec: StudySpec) -> str:
    names, report = ", ".join(missing), run.report
    if report is None:
        found = "it reported nothing at all"
    else:
        reported = ", ".join(sorted(report.final)[:20]) or "no metric"
        found = f"it reported {reported}"
    waited = spec.metrics.wait_seconds  # 0 where reports are files, as in a local run
    came = f"did not arrive within {waited} s (metrics.waitSeconds)" if waited else "was not among its values"
    if run.trouble:
        found += f"; the last look at its values failed: {run.trouble}"
    return f"the trial ended well, but {names} {came}; {found}. Report it, or name another metric in the study"


def _timeout_message(spec: StudySpec) -> str:
    return f"the attempt took longer than {spec.trial.timeout} (trial.timeout)"
