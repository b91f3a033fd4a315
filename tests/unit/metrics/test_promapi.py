"""Answers of Prometheus' API, and of what only claims to be one."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tuning_operator.metrics.exposition import AmbiguousMetricError
from tuning_operator.metrics.promapi import AnswerError, samples


def answer(*series: Any, kind: str = "matrix") -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": list(series)}}).encode()


def test_a_curve() -> None:
    body = answer({"metric": {"pod": "p"}, "values": [[1.5, "0.25"], [2, "1e-3"], [3, "+Inf"], [4, "NaN"]]})
    found = samples(body, what="loss")
    assert list(found) == [1.5, 2.0, 3.0, 4.0]
    assert list(found.values())[:3] == [0.25, 1e-3, math.inf]
    assert math.isnan(found[4.0])


def test_a_moment() -> None:
    assert samples(answer({"metric": {}, "value": [7, "1"]}, kind="vector"), what="loss") == {7.0: 1.0}


def test_nothing_is_not_zero() -> None:
    assert samples(answer(), what="loss") == {}


def test_two_series_are_an_error_that_names_them() -> None:
    body = answer(*({"metric": {"container": each}, "values": [[1, "1"]]} for each in ("a", "b")))
    with pytest.raises(AmbiguousMetricError, match=r"2 series are loss, among them .*'a'.* and .*'b'"):
        samples(body, what="loss")


def one(value: Any) -> bytes:
    return answer({"metric": {}, "values": [value]})


@pytest.mark.parametrize(
    "body",
    [
        b"", b"<html>", b"[]", b"null", b"{}", b"1", b'"x"', b'{"status":"success"}', b"[" * 100_000,
        b'{"status":"success","data":[]}', b'{"status":"success","data":{"resultType":"string","result":[1,"x"]}}',
        b'{"status":"error","errorType":"bad_data","error":"parse error"}', b"\xff\xfe",
        b'{"status":"success","data":{"resultType":"matrix","result":{}}}',
        answer("x"), answer({"metric": {}}), answer({"metric": {}, "values": "x"}),
        answer({"metric": {}, "histograms": []}),
        answer({"metric": {}}, kind="vector"), one([1]), one([1, 2, 3]), one("xy"), one([1, 2]), one([1, None]),
        one([True, "1"]), one(["1", "1"]), one([1, "one"]), one([1, "1_0"]), one([1, "9" * 1000]), one(None),
        one([1e999, "1"]), one({"a": 1}),
    ],
    ids=lambda body: body[:60].decode("latin-1"),
)  # fmt: skip
def test_what_is_no_answer_is_said_and_nothing_else_happens(body: bytes) -> None:
    with pytest.raises(AnswerError) as error:
        samples(body, what="loss")
    assert len(str(error.value)) < 400


def test_the_servers_own_words_are_passed_on() -> None:
    with pytest.raises(AnswerError, match="the server says: parse error"):
        samples(b'{"status":"error","errorType":"bad_data","error":"parse error"}', what="loss")


def test_a_number_that_is_too_large_is_infinite() -> None:
    assert samples(one([1, "1e999"]), what="loss") == {1.0: math.inf}
