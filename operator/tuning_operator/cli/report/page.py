"""One HTML file that needs nothing else: no network, no other file.

plotly.js is in it once, compressed (1.9 MB instead of 4.8); the browser unpacks it. Everything that comes from a study
is escaped: names and messages were written by others.
"""

import base64
import gzip
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from tuning_operator.cli import words
from tuning_operator.cli.report.data import ReportData, TrialData
from tuning_operator.cli.report.figures import Figure


def page(data: ReportData, figures: Sequence[Figure]) -> str:
    parts = [
        _header(data),
        _cards(data),
        _outcome(data),
        _plots(figures),
        _trials(data),
        _conditions(data),
        _files(data),
    ]
    body = "\n".join(part for part in parts if part)
    assets = files("tuning_operator.cli.report")
    style = assets.joinpath("page.css").read_text(encoding="utf-8")
    script = assets.joinpath("page.js").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{escape(data.name)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>\n{style}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n"
        f"{_library() if figures else ''}<script>\n{script}</script>\n</body>\n</html>\n"
    )


def _library() -> str:
    import plotly

    packed = files(plotly).joinpath("package_data", "plotly.min.js").read_bytes()
    encoded = base64.b64encode(gzip.compress(packed, 9, mtime=0)).decode("ascii")
    return f'<script type="text/plain" id="plotly">{encoded}</script>\n'


def _header(data: ReportData) -> str:
    state = data.state
    conditions = {condition["type"]: condition for condition in data.status.get("conditions", ())}
    message = conditions.get(state, conditions.get("Ready", {})).get("message", "")
    return (
        f'<header><h1>{escape(data.name)} <span class="state {escape(state.lower())}">{escape(state)}</span></h1>'
        f"<p>{escape(message)}</p></header>"
    )


def _cards(data: ReportData) -> str:
    cards: list[tuple[str, str, str]] = []
    best = data.best
    if best is not None:
        cards += [(f"best {name}", words.number(value), f"trial {best.number}") for name, value in best.values.items()]
    if data.final is not None:
        tested = [(name, value) for name, value in data.final.metrics.items() if name.startswith("test_")]
        cards += [(name, words.number(value), "final run, once") for name, value in tested[:2]]
    counts = data.status.get("counts", {})
    failed = counts.get("failed", 0)
    ended = sum(counts.get(each, 0) for each in ("succeeded", "failed", "stopped"))
    cards.append(("trials", str(ended), f"{failed} failed" if failed else "none failed"))
    every = [*data.trials, *([data.final] if data.final is not None else [])]
    times = [time for trial in every for time in (trial.start, trial.end) if time is not None]
    if times:
        took = words.duration((max(times) - min(times)).total_seconds())
        cards.append(("time", took, min(times).strftime("%Y-%m-%d %H:%M UTC")))
    algorithm = data.status.get("algorithm", {})
    if algorithm:
        cards.append(("algorithm", algorithm["name"], algorithm.get("reason", "")))
    return f'<section class="cards">{"".join(_card(*card) for card in cards)}</section>'


def _card(label: str, value: str, hint: str) -> str:
    return (
        f'<div class="card"><div class="label">{escape(label)}</div><div class="value">{escape(value)}</div>'
        f'<div class="hint">{escape(hint)}</div></div>'
    )


def _outcome(data: ReportData) -> str:
    columns: list[tuple[str, str]] = []
    if data.best is not None:
        columns.append(("Best parameters", _pairs(data.best.parameters)))
        columns.append((f"Metrics of trial {data.best.number}", _pairs(data.best.metrics)))
    if data.final is not None:
        said = f"<p>{escape(data.final.message or data.final.state)}</p>"
        columns.append(("Final run", _pairs(data.final.metrics) if data.final.metrics else said))
    body = "".join(f"<div><h2>{escape(title)}</h2>{content}</div>" for title, content in columns)
    return f'<section class="columns">{body}</section>' if columns else ""


def _pairs(values: Mapping[str, Any]) -> str:
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(_cell(value))}</td></tr>" for name, value in values.items())
    return f'<table class="pairs">{rows}</table>'


def _plots(figures: Sequence[Figure]) -> str:
    sections: list[str] = []
    for figure in figures:
        plot = (
            f'<div class="plot" style="height: {figure.height}px"></div>'
            f'<script type="application/json" class="figure">{_script_safe(figure.json)}</script>'
        )
        if figure.title:
            sections.append(f'<h2>{escape(figure.title)}</h2><p class="says">{escape(figure.says)}</p>{plot}')
        else:
            sections[-1] += plot
    return "\n".join(f"<section>{section}</section>" for section in sections)


def _script_safe(text: str) -> str:
    return text.replace("<", "\\u003c")


def _trials(data: ReportData) -> str:
    names = [parameter.name for parameter in data.space]
    metrics = [objective.metric for objective in data.objectives]
    every = [*data.trials, *([data.final] if data.final is not None else [])]
    if not every:
        return ""
    eventful = any(_happened(trial) for trial in every)
    head = ["trial", "state", *metrics, *names, "time", "by", *(["what happened"] if eventful else [])]
    rows = "\n".join(_trial_row(trial, metrics, names, best=trial is data.best, eventful=eventful) for trial in every)
    heads = "".join(f"<th>{escape(name)}</th>" for name in head)
    return (
        '<section><h2>Trials</h2><p class="says">Click a heading to sort.</p><div class="wide">'
        f'<table class="trials"><thead><tr>{heads}</tr></thead><tbody>\n{rows}\n</tbody></table></div></section>'
    )


def _trial_row(trial: TrialData, metrics: Sequence[str], names: Sequence[str], *, best: bool, eventful: bool) -> str:
    seconds = trial.seconds
    cells: list[tuple[str, object]] = [
        (f"{trial.number}{' final' if trial.role == 'Final' else ''}", trial.number),
        (trial.state, trial.state),
        *((_value(trial, metric), _raw(trial, metric)) for metric in metrics),
        *((_parameter(trial.parameters.get(name)), trial.parameters.get(name)) for name in names),
        ("" if seconds is None else words.duration(seconds), seconds),
        (trial.by, trial.by),
    ]
    shown = "".join(f'<td data-sort="{escape(json.dumps(raw))}">{escape(text)}</td>' for text, raw in cells)
    if eventful:
        shown += f'<td class="happened" data-sort="null">{escape(_happened(trial))}</td>'
    return f'<tr class="{escape(trial.state.lower())}{" best" if best else ""}">{shown}</tr>'


def _parameter(value: Any) -> str:
    return "" if value is None else words.parameter(value)


def _raw(trial: TrialData, metric: str) -> float | None:
    return trial.values.get(metric, trial.metrics.get(metric))


def _value(trial: TrialData, metric: str) -> str:
    value = _raw(trial, metric)
    return "" if value is None else words.number(value)


def _happened(trial: TrialData) -> str:
    attempts = f"{trial.attempts} attempts" if trial.attempts > 1 else ""
    reason = "" if trial.reason == "Completed" else trial.reason
    return ". ".join(filter(None, [": ".join(filter(None, [reason, trial.message])), attempts]))


def _conditions(data: ReportData) -> str:
    keys = ("type", "status", "reason", "message", "lastTransitionTime")
    rows = ""
    for condition in data.status.get("conditions", ()):
        rows += "<tr>" + "".join(f"<td>{escape(str(condition.get(key, '')))}</td>" for key in keys) + "</tr>"
    head = "<tr><th>condition</th><th>status</th><th>reason</th><th>message</th><th>since</th></tr>"
    return f'<section><h2>Conditions</h2><div class="wide"><table>{head}{rows}</table></div></section>' if rows else ""


def _files(data: ReportData) -> str:
    return f"<section><h2>Files</h2>{_pairs(data.files)}</section>" if data.files else ""


def _cell(value: Any) -> str:
    return "" if value is None else words.number(value) if isinstance(value, float) else words.parameter(value)
