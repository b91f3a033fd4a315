"""One HTML file that needs nothing else: no network, no other file.

plotly.js is in it once, compressed (1.9 MB instead of 4.8); the browser unpacks it. Everything that comes from a study
is escaped: names and messages were written by others.
"""

import base64
import gzip
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files

from tuning_operator.cli import words
from tuning_operator.cli.report import tables
from tuning_operator.cli.report.data import ReportData
from tuning_operator.cli.report.drawing import Figure
from tuning_operator.cli.report.front import rule


def page(data: ReportData, figures: Sequence[Figure]) -> str:
    parts = [
        _header(data),
        _cards(data),
        _outcome(data),
        _search(data),
        tables.confirmed(data),
        tables.front(data),
        tables.rungs(data),
        _plots(figures),
        tables.ends(data),
        tables.trials(data),
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
        chosen = f"trial {best.number}{f', {rule(data)}' if len(data.objectives) > 1 else ''}"
        for name, value in best.values.items():
            error = best.errors.get(name)
            hint = chosen if error is None else f"± {words.short(error)} (standard error), {chosen}"
            cards.append((f"best {name}", words.number(value), hint))
    if data.final is not None:
        tested = [(name, value) for name, value in data.final.metrics.items() if name.startswith("test_")]
        cards += [(name, words.number(value), "final run, once") for name, value in tested[:2]]
    counts = data.status.get("counts", {})
    ended = sum(counts.get(each, 0) for each in ("succeeded", "failed", "stopped"))
    said = [f"{counts[each]} {each}" for each in ("running", "paused", "stopped", "failed") if counts.get(each)]
    cards.append(("trials", str(ended), ", ".join(said) or "all succeeded"))
    if len(data.objectives) > 1:
        cards.append(("front", str(len(data.front)), "trials that none beats in every objective"))
    every = [*data.trials, *data.further, *([data.final] if data.final is not None else [])]
    times = [time for trial in every for time in (trial.start, trial.end) if time is not None]
    if times:
        took = words.duration((max(times) - min(times)).total_seconds())
        cards.append(("time", took, min(times).strftime("%Y-%m-%d %H:%M UTC")))
    algorithm = data.status.get("algorithm", {})
    if algorithm:
        cards.append(("algorithm", algorithm["name"], _reasons(data)[0]))
    return f'<section class="cards">{"".join(_card(*card) for card in cards)}</section>'


_NOTE = re.compile(r"; (?=learned from |nothing learned from |no earlier result |of these \d)")


def _reasons(data: ReportData) -> list[str]:
    """Why the algorithm was chosen, and then what was learned from each source of earlier results."""
    reason: str = data.status.get("algorithm", {}).get("reason", "")
    return _NOTE.split(reason)


def _search(data: ReportData) -> str:
    notes = _reasons(data)[1:]
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<section><h2>Earlier results</h2><ul>{items}</ul></section>" if notes else ""


def _card(label: str, value: str, hint: str) -> str:
    return (
        f'<div class="card"><div class="label">{escape(label)}</div><div class="value">{escape(value)}</div>'
        f'<div class="hint">{escape(hint)}</div></div>'
    )


def _outcome(data: ReportData) -> str:
    columns: list[tuple[str, str]] = []
    if data.best is not None:
        columns.append(("Best parameters", tables.pairs(data.best.parameters)))
        columns.append((f"Metrics of trial {data.best.number}", tables.pairs(data.best.metrics)))
    if data.final is not None:
        said = f"<p>{escape(data.final.message or data.final.state)}</p>"
        columns.append(("Final run", tables.pairs(data.final.metrics) if data.final.metrics else said))
    body = "".join(f"<div><h2>{escape(title)}</h2>{content}</div>" for title, content in columns)
    return f'<section class="columns">{body}</section>' if columns else ""


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


def _conditions(data: ReportData) -> str:
    keys = ("type", "status", "reason", "message", "lastTransitionTime")
    rows = ""
    for condition in data.status.get("conditions", ()):
        rows += "<tr>" + "".join(f"<td>{escape(str(condition.get(key, '')))}</td>" for key in keys) + "</tr>"
    head = "<tr><th>condition</th><th>status</th><th>reason</th><th>message</th><th>since</th></tr>"
    return f'<section><h2>Conditions</h2><div class="wide"><table>{head}{rows}</table></div></section>' if rows else ""


def _files(data: ReportData) -> str:
    return f"<section><h2>Files</h2>{tables.pairs(data.files)}</section>" if data.files else ""
