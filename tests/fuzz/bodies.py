"""Damaged bodies through every reader of metrics.

Nothing but the errors that a reader names comes out of it; what it reads is of the right kind; and where others' code
reads the body as well (Prometheus' own client, `json`), it finds the same value.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.fuzz import damage
from tuning_operator.metrics import exposition, promapi
from tuning_operator.metrics.lines import Lines, Printed
from tuning_operator.metrics.sidecar import last_words
from tuning_operator.metrics.termination import report_of
from tuning_trial.report import MAX_BYTES, Report, ReportError

METRICS = ("loss", "val_accuracy")
EXPOSITION = (
    b"# HELP tuning_loss The loss.\n# TYPE tuning_loss gauge\ntuning_loss 0.25\ntuning_step 7\n"
    b'val_accuracy 0.9\nother{a="b",c="d\\"e"} 1e-3 1700000000000\n'
    b'tuning_rung_value{metric="loss",budget="3"} 0.5\ntuning_rung_value{metric="loss",budget="9"} 0.25\n'
)
LINES = (
    b'epoch 1: loss=0.5, val_accuracy: 0.75\n{"epoch": 2, "loss": 0.25, "val_accuracy": 0.8}\n'
    b"\x1b[32mloss = 1e-3\x1b[0m\rloss 2\n"
)
REPORT: dict[str, Any] = {
    "v": 1, "step": 7, "steps": 10, "final": {"loss": 0.25, "val_accuracy": 0.9},
    "best": {"loss": {"value": 0.2, "step": 6}}, "mean": {"loss": 0.3}, "rungs": {"3": {"loss": 0.5}},
    "error": {"reason": "OutOfMemory", "message": "of 80 GiB"}, "artifacts": {"model": "/m"}, "done": True,
}  # fmt: skip
ANSWER: dict[str, Any] = {
    "status": "success",
    "data": {"resultType": "matrix", "result": [{"metric": {"a": "b"}, "values": [[1.5, "0.25"], [2.5, "NaN"]]}]},
}


def one(rng: random.Random) -> Iterator[str]:
    kind = rng.randrange(4)
    if kind == 0:
        yield from _exposition(damage.text(rng, EXPOSITION))
    elif kind == 1:
        yield from _lines(rng, damage.text(rng, LINES))
    else:
        source, read = (REPORT, _report) if kind == 2 else (ANSWER, _answer)
        value = damage.tree(rng, source, times=rng.randrange(3))
        yield from read(damage.text(rng, damage.as_json(value)))


def _exposition(body: bytes) -> Iterator[str]:
    text = body.decode("utf-8", "replace")
    try:
        found = exposition.read(text, METRICS, (3, 9))
    except exposition.AmbiguousMetricError:
        yield "refused"
        return
    yield "accepted" if found.values else "empty"
    if found.step is not None and not (isinstance(found.step, int) and 0 <= found.step <= 2**53):
        yield f"step {found.step!r}"
    if not set(found.values) <= set(METRICS) or not set(found.rungs) <= {3, 9}:
        yield f"read what nobody asked for: {found}"
    try:
        samples = [each for family in text_string_to_metric_families(text) for each in family.samples]
    except Exception:  # the other reader is stricter, and fails in many ways
        return
    for metric in METRICS:
        theirs = [each for each in samples if each.name == f"tuning_{metric}"] or [
            each for each in samples if each.name == metric
        ]
        if len(theirs) == 1 and metric in found.values and not _same(found.values[metric], theirs[0].value):
            yield f"read {found.values[metric]} where {theirs[0].value} stands"


def _lines(rng: random.Random, body: bytes) -> Iterator[str]:
    whole, cut = Lines(), Lines()
    lines = [*whole.feed(body), *whole.end()]
    at = rng.randrange(len(body) + 1)
    if lines != [*cut.feed(body[:at]), *cut.feed(body[at:]), *cut.end()]:
        yield f"other lines where the stream is cut at {at}"
    printed, found = Printed(METRICS), 0
    for line in lines:
        for scrape in printed.read(line):
            found += 1
            if not set(scrape.values) <= set(METRICS) or not all(isinstance(v, float) for v in scrape.values.values()):
                yield f"read what nobody asked for: {scrape}"
    yield "accepted" if found else "empty"


def _report(body: bytes) -> Iterator[str]:
    try:
        report = Report.parse(body)
    except ReportError as error:
        yield "refused"
        if not str(error):
            yield "refused without a word"
        if report_of(body.decode("utf-8", "replace")) is not None and _is_text(body):
            yield "one reader takes it and one does not"
        return
    yield "accepted"
    raw = json.loads(body)
    for name, value in report.final.items():
        if not _same(value, float(raw["final"][name])):
            yield f"final.{name} is {value} where {raw['final'][name]!r} stands"
    if not 0 <= report.step <= 2**53 or any(each.step < 0 for each in report.best.values()):
        yield f"step {report.step}"
    again = report.to_json()
    if len(again.encode()) > MAX_BYTES or Report.parse(again).step != report.step:
        yield "cannot be written again"
    last_words(body.decode("utf-8", "replace"))


def _answer(body: bytes) -> Iterator[str]:
    try:
        found = promapi.samples(body, what="loss")
    except (promapi.AnswerError, exposition.AmbiguousMetricError) as error:
        yield "refused"
        if not str(error):
            yield "refused without a word"
        return
    yield "accepted" if found else "empty"
    if not all(math.isfinite(at) and isinstance(value, float) for at, value in found.items()):
        yield f"samples {found}"


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))
