"""PromQL bound to one pod. `tests/cluster/test_query.py` holds the same expressions against Prometheus' own parser."""

from __future__ import annotations

import pytest

from tests.promql import REFUSED, TAKEN
from tuning_operator.api.promql import LENGTH_MAX, PromQLError, bound

POD = {"namespace": "ns", "pod": 'p"\\'}
M = r'namespace="ns",pod="p\"\\"'


@pytest.mark.parametrize(
    ("expression", "want"),
    [
        ("loss", f"loss{{{M}}}"),
        ('loss{split="val"}', f'loss{{split="val",{M}}}'),
        ("loss{}", f"loss{{{M}}}"),
        ('{__name__=~"a.*",}', f'{{__name__=~"a.*",{M}}}'),
        ('{"model.loss", split!~"x"}', f'{{"model.loss",split!~"x",{M}}}'),
        ("a-b", f"a{{{M}}} - b{{{M}}}"),
        ("rate(a[5m] offset 1m)", f"rate ( a{{{M}}} [5m] offset 1m )"),
        ("sum by (x) (a)", f"sum by (x) ( a{{{M}}} )"),
    ],
)
def test_each_series_gets_the_pods_matchers(expression: str, want: str) -> None:
    assert bound(expression, POD) == want


@pytest.mark.parametrize("expression", TAKEN)
def test_ordinary_promql_is_taken(expression: str) -> None:
    assert bound(expression, POD)


@pytest.mark.parametrize(("expression", "why"), REFUSED.items())
def test_what_is_not_understood_for_certain_is_refused(expression: str, why: str) -> None:
    with pytest.raises(PromQLError, match=why):
        bound(expression, POD)


def test_a_long_expression_is_refused_before_it_is_read() -> None:
    with pytest.raises(PromQLError, match="write at most"):
        bound("(" * (LENGTH_MAX + 1), POD)
