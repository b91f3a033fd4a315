"""The tables of the report. Everything that comes from a study is escaped: it was written by others."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

from tuning_operator.cli import words
from tuning_operator.cli.report.data import ReportData, TrialData
from tuning_operator.cli.report.front import rule
from tuning_operator.cli.report.recorded import drawn

MOST_OF_FRONT = 100


def pairs(values: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(_cell(value))}</td></tr>" for name, value in values.items())
    return f'<table class="pairs">{rows}</table>'


def rungs(data: ReportData) -> str:
    """The scheduler's table, as the status has it."""
    found = data.status.get("rungs", ())
    if not found:
        return ""
    several = len({rung.get("bracket", 0) for rung in found}) > 1
    head = [*(["bracket"] if several else []), "budget", "reached", "went on", f"best {data.objectives[0].metric}"]
    rows = [
        [
            *([str(rung.get("bracket", 0))] if several else []),
            str(rung["budget"]),
            str(rung.get("reached", 0)),
            str(rung.get("promoted", 0)),
            str(rung.get("best", "")),
        ]
        for rung in found
    ]
    says = "How many trials reached each budget, and how many of them were allowed to train on."
    return _section("Rungs", says, _table(head, rows))


def front(data: ReportData) -> str:
    if len(data.objectives) < 2 or not data.front:
        return ""
    metrics = [objective.metric for objective in data.objectives]
    names = [p.name for p in data.space if any(p.name in trial.parameters for trial in data.front)]
    rows = [
        [
            f"{trial.number}{' best' if trial is data.best else ''}",
            *(_measured(trial, metric) for metric in metrics),
            *(_parameter(trial.parameters.get(name)) for name in names),
        ]
        for trial in data.front[:MOST_OF_FRONT]
    ]
    says = f"Trials that no other one beats in every objective; best is the one {rule(data)}."
    if len(data.front) > MOST_OF_FRONT:
        says += f" {MOST_OF_FRONT} of {len(data.front)} are shown."
    return _section("Front", says, _table(["trial", *metrics, *names], rows))


def confirmed(data: ReportData) -> str:
    """The best by the search beside what further runs of them came to."""
    found = data.status.get("confirmed", ())
    if not found:
        return ""
    metrics = [objective.metric for objective in data.objectives]
    by_number = {trial.number: trial for trial in data.trials}
    best = data.status.get("best", {}).get("number")
    head = ["trial", *(f"{metric}, {kind}" for metric in metrics for kind in ("search", "further runs")), "runs"]
    rows = []
    for each in found:
        trial = by_number.get(each["number"])
        cells = [f"{each['number']}{' best' if each['number'] == best else ''}"]
        for metric in metrics:
            cells.append("" if trial is None else _measured(trial, metric))
            cells.append(_with_error(each.get("values", {}).get(metric), each.get("errors", {}).get(metric)))
        rows.append([*cells, str(each.get("runs", 0))])
    says = (
        "The best trials, trained again with fresh seeds. The best of many values is partly luck, so the search's "
        "value is usually the better one; the further runs say what to expect."
    )
    return _section("Confirmed", says, _table(head, rows))


def ends(data: ReportData) -> str:
    """How the trials ended, most frequent first."""
    found = Counter((trial.state, trial.reason) for trial in data.trials if trial.reason)
    if len(found) < 2:
        return ""
    examples = {(trial.state, trial.reason): trial for trial in data.trials if trial.message}
    rows = []
    for (state, reason), count in found.most_common():
        example = examples.get((state, reason))
        said = "" if example is None else f"trial {example.number}: {example.message}"
        rows.append([str(count), state, reason, said])
    return _section("Ends", "How trials ended.", _table(["trials", "state", "reason", "for example"], rows))


def trials(data: ReportData) -> str:
    names = [parameter.name for parameter in data.space]
    metrics = [objective.metric for objective in data.objectives]
    extra = [constraint.metric for constraint in data.constraints if constraint.metric not in metrics]
    shown = drawn(data)
    every = [*shown, *data.further, *([data.final] if data.final is not None else [])]
    if not every:
        return ""
    eventful = any(_happened(trial) for trial in every)
    budgets = any(trial.rungs for trial in every)
    head = ["trial", "state", *metrics, *extra, *(["rung"] if budgets else []), *names, "time", "by", "why"]
    head += ["what happened"] if eventful else []
    rows = "\n".join(
        _trial_row(trial, [*metrics, *extra], names, best=trial is data.best, eventful=eventful, budgets=budgets)
        for trial in every
    )
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    says = "Click a heading to sort."
    if len(shown) < len(data.trials):
        says += f" {len(shown)} of {len(data.trials)} trials are shown, the best among them."
    return (
        f'<section><h2>Trials</h2><p class="says">{says}</p><div class="wide">'
        f'<table class="trials"><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table></div></section>'
    )


def _trial_row(
    trial: TrialData, metrics: Sequence[str], names: Sequence[str], *, best: bool, eventful: bool, budgets: bool
) -> str:
    seconds = trial.seconds
    rung = trial.rungs[-1].budget if trial.rungs else None
    role = {"Final": " final", "Confirm": " again"}.get(trial.role, "")
    cells: list[tuple[str, object]] = [
        (f"{trial.number}{role}", trial.number),
        (trial.state + (" (infeasible)" if trial.violation else ""), trial.state),
        *((_measured(trial, metric), _raw(trial, metric)) for metric in metrics),
        *([("" if rung is None else str(rung), rung)] if budgets else []),
        *((_parameter(trial.parameters.get(name)), trial.parameters.get(name)) for name in names),
        ("" if seconds is None else words.duration(seconds), seconds),
        (trial.by, trial.by),
    ]
    shown = "".join(f'<td data-sort="{escape(json.dumps(raw))}">{escape(text)}</td>' for text, raw in cells)
    shown += f'<td class="why" data-sort="{escape(json.dumps(trial.why))}">{escape(trial.why)}</td>'
    if eventful:
        shown += f'<td class="happened" data-sort="null">{escape(_happened(trial))}</td>'
    return f'<tr class="{escape(trial.state.lower())}{" best" if best else ""}">{shown}</tr>'


def _parameter(value: Any) -> str:
    return "" if value is None else words.parameter(value)


def _raw(trial: TrialData, metric: str) -> float | None:
    return trial.values.get(metric, trial.metrics.get(metric))


def _measured(trial: TrialData, metric: str) -> str:
    return _with_error(_raw(trial, metric), trial.errors.get(metric))


def _with_error(value: float | None, error: float | None) -> str:
    if value is None:
        return ""
    return words.number(value) if error is None else f"{words.number(value)} ± {words.short(error)}"


def _happened(trial: TrialData) -> str:
    attempts = f"{trial.attempts} attempts" if trial.attempts > 1 else ""
    reason = "" if trial.reason == "Completed" else trial.reason
    return ". ".join(filter(None, [": ".join(filter(None, [reason, trial.message])), attempts]))


def _cell(value: Any) -> str:
    return "" if value is None else words.number(value) if isinstance(value, float) else words.parameter(value)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="wide"><table><tr>{heads}</tr>{body}</table></div>'


def _section(title: str, says: str, body: str) -> str:
    return f'<section><h2>{escape(title)}</h2><p class="says">{escape(says)}</p>{body}</section>'
