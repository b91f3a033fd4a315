"""Which way the values of a study's trials come, where the study leaves it open. Pure."""

from tuning_operator.api.pod_templates import pod_templates
from tuning_operator.api.study import MetricsSource, StudySpec

NAMED_PORT = "metrics"
"""A template whose first container has a port of this name serves metrics there, whether or not it knows of us."""


def source_of(spec: StudySpec) -> MetricsSource:
    """The source of a study, never `Auto`."""
    given = spec.metrics.source
    if given is not MetricsSource.AUTO:
        return given
    if spec.metrics.logs is not None:
        return MetricsSource.LOGS
    if spec.metrics.query is not None:
        return MetricsSource.QUERY
    return MetricsSource.DIRECT if _named_port(spec) is None else MetricsSource.SIDECAR


def port_of(spec: StudySpec) -> int:
    """Where a trial's metrics are served."""
    named = _named_port(spec) if spec.metrics.source is MetricsSource.AUTO else None
    return spec.metrics.port if named is None else named


def read_at_the_end(spec: StudySpec) -> bool:
    """Whether a trial's values are complete only once its source was looked at after its end."""
    return source_of(spec) in (MetricsSource.LOGS, MetricsSource.QUERY)


def _named_port(spec: StudySpec) -> int | None:
    """The port by which an image that is not ours says that it serves metrics."""
    for _, template in () if spec.trial.trainer is not None else pod_templates(spec.trial.template):
        ports = template["spec"]["containers"][0].get("ports")
        for port in ports if isinstance(ports, list) else ():
            if isinstance(port, dict) and port.get("name") == NAMED_PORT:
                number = port.get("containerPort")
                return number if isinstance(number, int) and 0 < number < 65536 else None
    return None
