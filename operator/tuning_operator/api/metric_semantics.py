"""Checks of `spec.metrics` that no CRD can express: PromQL that can be bound to a trial's pod, names that are used."""

from collections.abc import Iterator

from tuning_operator.api.problem import Problem, shown
from tuning_operator.api.promql import PromQLError, bound
from tuning_operator.api.sources import source_of
from tuning_operator.api.study import MetricsSource, StudySpec

_ANYWHERE = {"namespace": "n", "pod": "p"}


def metric_problems(spec: StudySpec, *, local: bool) -> Iterator[Problem]:
    """`local`: a run on this machine has no pods, so a Prometheus server knows nothing of them."""
    if local and source_of(spec) is MetricsSource.QUERY:
        remedy = "a local run has no pods that a Prometheus server could know; write Logs, or let the trial report"
        yield Problem("spec.metrics.source", "Query", remedy)
    query = spec.metrics.query
    if query is None:
        return
    used = [o.metric for o in spec.objectives] + [c.metric for c in spec.constraints]
    for index, each in enumerate(query.expressions):
        at = f"spec.metrics.query.expressions[{index}]"
        if each.metric not in used:
            yield Problem(f"{at}.metric", shown(each.metric), f"nothing uses it; write one of: {', '.join(used)}")
        yield from _expression(f"{at}.expression", each.expression)
    if query.step is not None:
        yield from _expression("spec.metrics.query.step", query.step)


def _expression(at: str, expression: str) -> Iterator[Problem]:
    try:
        bound(expression, _ANYWHERE)
    except PromQLError as error:
        yield Problem(at, shown(expression), f"{error} (PromQL is bound to the trial's pod, see docs/metrics.md)")
