"""The report: what fits in 4096 bytes, what comes back, and what no hostile body can do."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tuning_trial.report import MAX_BYTES, Best, Failure, Report, ReportError

names = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=("C", "Z")), min_size=1, max_size=200
)
numbers = st.floats(allow_nan=True, allow_infinity=True)
finite = st.floats(allow_nan=False, allow_infinity=False)
steps = st.integers(0, 2**53)
reports = st.builds(
    Report,
    step=steps,
    steps=st.none() | steps,
    final=st.dictionaries(names, numbers, max_size=60),
    best=st.dictionaries(names, st.builds(Best, value=finite, step=steps), max_size=40),
    mean=st.dictionaries(names, numbers, max_size=40),
    rungs=st.dictionaries(steps, st.dictionaries(names, numbers, max_size=8), max_size=20),
    error=st.none() | st.builds(Failure, reason=st.text(max_size=300), message=st.text(max_size=5000)),
    artifacts=st.dictionaries(names, st.text(max_size=300), max_size=20),
    done=st.booleans(),
)


@given(report=reports, keep=st.sets(names, max_size=3))
def test_every_report_fits_and_can_be_read_again(report: Report, keep: set[str]) -> None:
    text = report.to_json(keep=keep)
    assert len(text.encode()) <= MAX_BYTES
    again = Report.parse(text)
    assert (again.step, again.steps, again.done) == (report.step, report.steps, report.done)
    assert (again.error is None) == (report.error is None)


@given(body=st.binary(max_size=200) | st.text(max_size=200))
@example(b"\xff{}")
@example("[" * 3000)
@example('{"v":1,"step":' + "9" * 4000 + "}")
@example('{"v":1,"final":{"a":1e999}}')
@example("\ud800")
def test_a_body_of_any_content_is_a_report_or_a_report_error(body: str | bytes) -> None:
    try:
        Report.parse(body)
    except ReportError as error:
        assert str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=10,
)
fields = st.sampled_from(["step", "steps", "final", "best", "mean", "rungs", "error", "artifacts", "done", "other"])


@given(body=st.dictionaries(fields, json_values, max_size=6))
def test_json_of_any_shape_is_a_report_or_a_report_error(body: dict[str, object]) -> None:
    try:
        report = Report.parse(json.dumps({"v": 1, **body}))
    except ReportError:
        return
    assert len(report.to_json()) <= MAX_BYTES


def test_the_body_of_the_contract_is_read_as_it_says() -> None:
    body = {
        "v": 1,
        "step": 12,
        "steps": 20,
        "final": {"val_accuracy": 0.981, "train_loss": "NaN", "up": "Infinity", "down": "-Infinity"},
        "best": {"val_accuracy": {"value": 0.984, "step": 10}},
        "mean": {"val_accuracy": 0.98},
        "rungs": {"1": {"val_accuracy": 0.91}, "3": {"val_accuracy": "NaN"}},
        "error": {"reason": "OutOfMemory", "message": "..."},
        "artifacts": {"weights": "model.pt"},
        "done": True,
        "newer": {"field": 1},
    }
    report = Report.parse(json.dumps(body))
    assert report.final["val_accuracy"] == 0.981
    assert math.isnan(report.final["train_loss"])
    assert (report.final["up"], report.final["down"]) == (math.inf, -math.inf)
    assert report.best == {"val_accuracy": Best(0.984, 10)}
    assert report.error == Failure("OutOfMemory", "...")
    assert report.rungs[1] == {"val_accuracy": 0.91}
    assert math.isnan(report.rungs[3]["val_accuracy"])
    assert report.done
    del body["newer"]
    assert json.loads(report.to_json()) == body


def test_metrics_that_are_no_objectives_are_left_out_last_name_first() -> None:
    final = {f"metric_{i:03d}": 0.123456789 for i in range(200)} | {"zz_objective": 1.0}
    kept = Report.parse(Report(step=1, final=final).to_json(keep={"zz_objective"})).final
    assert "zz_objective" in kept
    others = sorted(n for n in kept if n != "zz_objective")
    assert others == sorted(final)[: len(others)]
    assert len(others) > 100


def test_a_long_error_is_cut_and_its_reason_stays() -> None:
    report = Report.parse(Report(step=1, error=Failure("Diverged", "x" * 10_000)).to_json())
    assert report.error is not None
    assert report.error.reason == "Diverged"
    assert report.error.message.endswith("...")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        pytest.param("", "empty", id="nothing was written"),
        pytest.param("Segmentation fault", "not JSON", id="other text"),
        pytest.param(b"\xff\xfe", "not UTF-8", id="other bytes"),
        pytest.param("[1]", "must be a JSON object", id="another shape"),
        pytest.param('{"v":2}', "v is 2", id="a newer version"),
        pytest.param('{"v":true}', "v is True", id="true is not version 1"),
        pytest.param('{"v":1,"step":-1}', "step is -1", id="a negative step"),
        pytest.param('{"v":1,"step":1.5}', "step is 1.5", id="half a step"),
        pytest.param('{"v":1,"final":{"a":"high"}}', "final.a is 'high'", id="a metric that is text"),
        pytest.param('{"v":1,"final":{"a":true}}', "final.a is True", id="a metric that is a truth"),
        pytest.param('{"v":1,"final":[1]}', "final is [1]", id="metrics as a list"),
        pytest.param('{"v":1,"best":{"a":{"value":"NaN","step":1}}}', "best.a.value is nan", id="NaN is not best"),
        pytest.param('{"v":1,"best":{"a":1}}', "best.a is 1", id="best without a step"),
        pytest.param('{"v":1,"error":{}}', "error.reason is None", id="an error without a reason"),
        pytest.param('{"v":1,"done":1}', "done is 1", id="done is not a truth"),
        pytest.param('{"v":1,"pad":"' + "x" * 5000 + '"}', "bytes; at most 4096", id="too long"),
        pytest.param('{"v":1,"final":{"a":' + "9" * 400 + "}}", "too large", id="a number without end"),
        pytest.param('{"v":1,"final":{"a\\nb":1}}', "printable", id="a name over two lines"),
    ],
)
def test_a_bad_report_is_refused_with_the_field_and_its_value(body: str | bytes, words: str) -> None:
    with pytest.raises(ReportError) as refused:
        Report.parse(body)
    assert words in str(refused.value)


def test_control_characters_of_a_message_do_not_reach_the_reader() -> None:
    report = Report.parse(json.dumps({"v": 1, "error": {"reason": "A\x1b[2J", "message": "line\nnext\x00"}}))
    assert report.error == Failure("A?[2J", "line\nnext?")


@pytest.mark.parametrize(
    ("rungs", "words"),
    [
        ([], "rungs is []; it must be an object"),
        ({"one": {}}, "rungs has the budget 'one'"),
        ({"01": {}}, "rungs has the budget '01'"),
        ({"-1": {}}, "rungs has the budget '-1'"),
        ({"9" * 30: {}}, "a whole number from 0 to 2**53"),
        ({"\u00b2": {}}, "rungs has the budget"),
        ({"1": 0.5}, "rungs.1 is 0.5; it must be an object"),
        ({"1": {"a": "high"}}, "rungs.1.a is 'high'"),
    ],
)
def test_rungs_that_cannot_be_read_are_named(rungs: object, words: str) -> None:
    with pytest.raises(ReportError) as refused:
        Report.parse(json.dumps({"v": 1, "rungs": rungs}))
    assert words in str(refused.value)


def test_of_too_many_rungs_the_earliest_are_left_out_and_the_objective_stays() -> None:
    rungs = {budget: {"val_accuracy": 0.9123456789012345} for budget in range(1, 200)}
    final = {f"metric_{i:03d}": 0.5 for i in range(20)} | {"val_accuracy": 0.9123456789012345}
    report = Report.parse(
        Report(step=200, final=final, rungs=rungs, artifacts={"a": "b"}).to_json(keep={"val_accuracy"})
    )
    assert report.final == {"val_accuracy": 0.9123456789012345}
    kept = sorted(report.rungs)
    assert kept == list(range(kept[0], 200))
    assert len(kept) > 80
