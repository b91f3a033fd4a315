"""Values in what programs print: the formats people have, and lines that nobody should have to read."""

from __future__ import annotations

import math
import random
import time

import pytest

from tuning_operator.metrics.exposition import Scrape
from tuning_operator.metrics.lines import LINE_MAX, Lines, Printed

METRICS = ("val_accuracy", "loss")
Values = dict[str, float]


def told(*lines: str, step: str | None = None) -> list[tuple[int | None, Values]]:
    printed = Printed(METRICS, step=step)
    return [(scrape.step, scrape.values) for line in lines for scrape in printed.read(line)]


@pytest.mark.parametrize(
    ("line", "want"),
    [
        ("loss=0.25", [(None, {"loss": 0.25})]),
        ("loss = -1.5e-3, val_accuracy=.5", [(None, {"loss": -1.5e-3, "val_accuracy": 0.5})]),
        ("step=7 loss=0.25", [(7, {"loss": 0.25})]),
        ("loss=0.25 epoch=3", [(3, {"loss": 0.25})]),
        ("2026-01-31 12:00:00 INFO train: epoch: 3 loss: 0.25", [(3, {"loss": 0.25})]),
        ("45/45 - 1s 9ms/step - loss: 0.12 - val_accuracy: 0.9", [(None, {"loss": 0.12, "val_accuracy": 0.9})]),
        ("{'loss': 0.5, 'grad_norm': 2.0, 'epoch': 1.5}", [(1, {"loss": 0.5})]),
        ("{'loss': '0.5', 'epoch': '1.5'}", [(1, {"loss": 0.5})]),
        ('{"step": 4, "loss": 0.5, "lr": 1e-3}', [(4, {"loss": 0.5})]),
        ('{"epoch": 4, "tuning_loss": 0.5, "loss": 9}', [(4, {"loss": 0.5})]),
        ("tuning_loss=0.5", [(None, {"loss": 0.5})]),
        ("Epoch 3/10 loss=1", [(3, {"loss": 1.0})]),
        ("\x1b[32mloss\x1b[0m=\x1b[1m0.5\x1b[0m", [(None, {"loss": 0.5})]),
        (" 1/9 loss: 3.0\r 5/9 loss: 2.0\r 9/9 loss: 1.0", [(None, {"loss": v}) for v in (3.0, 2.0, 1.0)]),
        ("loss=1 loss=2", [(None, {"loss": 2.0})]),
        ("val_loss=1 train/loss=2 xloss=3 losses=4 model.loss=5", []),
        ("the loss was 3", []),
        ("loss=1abc loss= loss=-", []),
        ('{"loss": true}', []),
        ('{"loss": {"a": 1}}', []),
        ('{"loss": 1e999}', [(None, {"loss": math.inf})]),
        ("loss=1e999", [(None, {"loss": math.inf})]),
        ("loss=-inf", [(None, {"loss": -math.inf})]),
        ("step=-3 loss=1", [(None, {"loss": 1.0})]),
        ("step=1e300 loss=1", [(None, {"loss": 1.0})]),
        ("step=nan loss=1", [(None, {"loss": 1.0})]),
    ],
)  # fmt: skip
def test_a_line(line: str, want: list[tuple[int | None, Values]]) -> None:
    assert told(line) == want


@pytest.mark.parametrize("line", ["loss=nan", '{"loss": NaN}', '{"loss": "NaN"}', "loss: NaN"])
def test_not_a_number_is_a_value_that_is_not_finite(line: str) -> None:
    ((step, values),) = told(line)
    assert step is None
    assert math.isnan(values["loss"])


def test_a_step_counts_for_the_lines_that_follow() -> None:
    assert told("Epoch 1/2", "loss: 3", "Epoch 2/2", "loss: 2", "val_accuracy: 0.5") == [
        (1, {"loss": 3.0}),
        (2, {"loss": 2.0}),
        (2, {"val_accuracy": 0.5}),
    ]


def test_where_a_step_is_printed_the_epoch_is_none() -> None:
    assert told("epoch=1 loss=3", "epoch=1 step=10 loss=2", "epoch=2 loss=1") == [
        (1, {"loss": 3.0}),
        (10, {"loss": 2.0}),
        (10, {"loss": 1.0}),
    ]


def test_the_study_names_the_step() -> None:
    assert told("step=5 iteration=2 loss=3", step="iteration") == [(2, {"loss": 3.0})]
    assert told('{"step": 5, "iteration": 2, "loss": 3}', step="iteration") == [(2, {"loss": 3.0})]


def test_lines_are_the_same_however_the_bytes_come() -> None:
    chance = random.Random(1)
    body = b"".join(b"loss=%d\n" % number for number in range(300)) + "läst".encode()
    for _ in range(20):
        lines, found, at = Lines(), [], 0
        while at < len(body):
            size = chance.randint(1, 40)
            found += lines.feed(body[at : at + size])
            at += size
        found += lines.end()
        assert found == [*(f"loss={number}" for number in range(300)), "läst"]


def test_of_an_endless_line_the_beginning_counts_and_no_half_number() -> None:
    lines = Lines()
    found = [
        line
        for piece in [b"loss=1 ", *[b"x" * 1000 + b" loss=12345678 "] * 40, b"9\nloss=2\n"]
        for line in lines.feed(piece)
    ]
    assert len(found) == 2
    assert len(found[0]) <= LINE_MAX
    assert [values for _, values in told(*found)] == [{"loss": 12345678.0}, {"loss": 2.0}]


@pytest.mark.parametrize(
    "line",
    ["loss" * 4096, "loss=" * 3276, "loss" + " " * 16000, "loss=" + "9" * 16000, "{" * 16000, "[" * 16000,
     "epoch " * 2700, '{"loss": ' + "9" * 9000 + "}", "\x1b[" * 8000, "'" * 16000, "loss='" * 2700, '{"a":' * 3000],
    ids=lambda line: line[:12],
)  # fmt: skip
def test_a_hostile_line_costs_no_more_than_its_length(line: str) -> None:
    began = time.perf_counter()
    for _, values in told(line):
        assert set(values) <= set(METRICS)
    assert time.perf_counter() - began < 0.2


def test_random_bytes_are_no_trouble() -> None:
    chance = random.Random(2)
    words = [
        b"loss",
        b"=",
        b":",
        b"1e9",
        b"{",
        b"}",
        b'"',
        b"\n",
        b"\r",
        b"\x1b[",
        b"step",
        b"nan",
        b"\xff",
        b" ",
        b"9" * 400,
    ]
    lines, printed = Lines(), Printed(METRICS)
    for _ in range(2000):
        for line in lines.feed(b"".join(chance.choices(words, k=30))):
            for scrape in printed.read(line):
                assert isinstance(scrape, Scrape)
