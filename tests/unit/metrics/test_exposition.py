"""Reading Prometheus text that a stranger's container wrote."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuning_operator.metrics.exposition import AmbiguousMetricError, Scrape, read

BODY = """\
# HELP tuning_step The last step reported.
# TYPE tuning_step gauge
tuning_step 12.0
# TYPE tuning_val_accuracy gauge
tuning_val_accuracy 0.98
val_accuracy 0.5
python_gc_objects_collected_total{generation="0"} 378.0
loss{job="a",note="x } y"} 1.5e-3 1700000000000
"""


def test_the_prefixed_name_wins_and_the_plain_one_does_otherwise() -> None:
    assert read(BODY, ["val_accuracy", "loss"]) == Scrape(12, {"val_accuracy": 0.98, "loss": 0.0015})


def test_what_is_missing_is_not_zero() -> None:
    assert read(BODY, ["f1"]) == Scrape(12, {})
    assert read("", ["f1"]) == Scrape()


@pytest.mark.parametrize(
    ("text", "value"),
    [("NaN", math.nan), ("+Inf", math.inf), ("-Inf", -math.inf), ("1e999", math.inf), ("-0", 0.0), (".5", 0.5)],
)
def test_numbers_as_prometheus_writes_them(text: str, value: float) -> None:
    found = read(f"loss {text}\n", ["loss"]).values["loss"]
    assert found == value or (math.isnan(found) and math.isnan(value))


@pytest.mark.parametrize("text", ["0x10", "1_000", "one", "", "1,5", "--1"])
def test_words_that_are_no_numbers_are_passed_over(text: str) -> None:
    assert read(f"loss {text}\n", ["loss"]).values == {}


def test_two_series_of_one_name_are_an_error_that_names_both() -> None:
    body = 'loss{rank="0"} 1\nloss{rank="1"} 2\n'
    with pytest.raises(AmbiguousMetricError, match=r'loss\{rank="0"\} and loss\{rank="1"\}'):
        read(body, ["loss"])
    assert read(body, ["other"]).values == {}


@pytest.mark.parametrize("step", ["-1", "NaN", "1e300", "inf"])
def test_a_step_that_cannot_be_is_none(step: str) -> None:
    assert read(f"tuning_step {step}\nloss 1\n", ["loss"]) == Scrape(None, {"loss": 1.0})


def test_a_hostile_body_is_read_in_one_pass() -> None:
    body = "loss" + "{" * 500_000 + "\n" + "a" * 500_000 + "\nloss 1\n"
    assert read(body, ["loss"]).values == {"loss": 1.0}


@given(st.text(alphabet='loss{}"= 1e+-.\n#\\tuning_', max_size=300))
def test_any_text_is_read_or_ambiguous(body: str) -> None:
    with contextlib.suppress(AmbiguousMetricError):
        read(body, ["loss"])


RUNGS = """\
tuning_step 4
tuning_acc 0.9
tuning_rung{metric="acc",budget="1"} 0.5
tuning_rung{budget="3",metric="acc",} 0.7 1700000000000
tuning_rung{metric="loss",budget="3"} NaN
"""


def test_what_was_reached_at_each_rung() -> None:
    scrape = read(RUNGS, ["acc"], [1, 3, 9])
    assert scrape == Scrape(4, {"acc": 0.9}, {1: {"acc": 0.5}, 3: {"acc": 0.7}})
    assert math.isnan(read(RUNGS, ["loss"], [3]).rungs[3]["loss"])


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('tuning_rung{metric="acc",budget="2"} 1', id="a budget that is no rung of the study"),
        pytest.param('tuning_rung{metric="other",budget="3"} 1', id="a metric that nobody asked for"),
        pytest.param('tuning_rung{metric="acc"} 1', id="no budget"),
        pytest.param('tuning_rung{metric="acc",budget="3.0"} 1', id="a budget that is not whole"),
        pytest.param('tuning_rung{metric="acc",budget="-3"} 1', id="a negative budget"),
        pytest.param('tuning_rung{metric="acc",budget="' + "3" * 400 + '"} 1', id="a very long budget"),
        pytest.param('tuning_rung{metric="acc" budget="3"} 1' + "x", id="no number"),
        pytest.param("tuning_rung{metric=acc,budget=3} 1", id="labels without quotes"),
        pytest.param('tuning_rung{metric="acc",budget="3"', id="a line that was cut"),
        pytest.param("tuning_rung 1", id="no labels"),
        pytest.param('tuning_rung{metric="acc",budget="3",x="' + "y" * 5000 + '"} 1', id="labels without end"),
    ],
)
def test_rungs_that_are_none_are_passed_over(line: str) -> None:
    assert read(line + "\n", ["acc"], [1, 3, 9]).rungs == {}


def test_two_values_of_one_rung_are_an_error() -> None:
    body = 'tuning_rung{metric="acc",budget="3"} 1\ntuning_rung{metric="acc",budget="3",rank="1"} 2\n'
    with pytest.raises(AmbiguousMetricError, match="two series say what acc was at 3 steps"):
        read(body, ["acc"], [3])


def test_a_flood_of_rungs_is_bounded_by_what_is_asked_for() -> None:
    body = "\n".join(f'tuning_rung{{metric="acc",budget="{budget}"}} 1' for budget in range(50_000))
    assert list(read(body, ["acc"], [1, 3]).rungs) == [1, 3]


@given(st.text(alphabet='{}",=\\ metricbudget3', max_size=80))
def test_any_labels_are_read_or_passed_over(labels: str) -> None:
    assert read(f"tuning_rung{labels} 1\n", ["acc"], [3]).rungs in ({}, {3: {"acc": 1.0}})
