"""Reads the answers of Prometheus' HTTP API to a query over a range. Pure.

The answer passes on what a user's container said, and the server may be another one than Prometheus: its shape is
checked, and the only things taken from it are times and numbers of one series.
"""

import json
import math
from typing import Any, Final

from tuning_operator.metrics.exposition import AmbiguousMetricError

Samples = dict[float, float]
"""By time."""
_SHOWN: Final = 200


class AnswerError(ValueError):
    """The server refused the query, or its answer has another shape; the message quotes it."""


def samples(body: bytes, *, what: str) -> Samples:
    """The one series of an answer; empty if there is none. `what` was asked for, for the messages.

    Raises `AmbiguousMetricError` where there are several, `AnswerError` for everything that is no answer.
    """
    data = _data(body)
    kind, result = data.get("resultType"), data.get("result")
    if kind not in ("matrix", "vector") or not isinstance(result, list):
        raise AnswerError(f"the answer to {what} is no vector but {_shown(kind)}; write an expression of one series")
    if not result:
        return {}
    if len(result) > 1:
        first, second = (_shown(_labels(series)) for series in result[:2])
        raise AmbiguousMetricError(f"{len(result)} series are {what}, among them {first} and {second}; leave one")
    series = result[0]
    if not isinstance(series, dict):
        raise AnswerError(f"the answer to {what} has a series of another shape: {_shown(series)}")
    pairs = series.get("values") if kind == "matrix" else [series.get("value")]
    if not isinstance(pairs, list):
        raise AnswerError(f"the answer to {what} has no values that are numbers (histograms are none)")
    return dict(_pair(pair, what) for pair in pairs)


def _data(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AnswerError(f"the answer is not JSON; it begins with {_shown(body[:60])}") from error
    if not isinstance(answer, dict):
        raise AnswerError(f"the answer is {_shown(answer)}")
    if answer.get("status") != "success":
        raise AnswerError(f"the server says: {_shown(answer.get('error') or answer)}")
    data = answer.get("data")
    if not isinstance(data, dict):
        raise AnswerError(f"the answer has no data: {_shown(answer)}")
    return data


def _pair(pair: Any, what: str) -> tuple[float, float]:
    try:
        at, value = pair
        if isinstance(at, bool) or not isinstance(at, int | float) or not math.isfinite(at):
            raise ValueError(at)
        return float(at), _value(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise AnswerError(f"the answer to {what} has a sample of another shape: {_shown(pair)}") from error


def _value(text: Any) -> float:
    """As Prometheus writes it: a string, `+Inf` and `NaN` among them."""
    if not isinstance(text, str) or len(text) > 400 or "_" in text:
        raise ValueError(text)
    return float(text)


def _labels(series: Any) -> Any:
    return series.get("metric") if isinstance(series, dict) else series


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
