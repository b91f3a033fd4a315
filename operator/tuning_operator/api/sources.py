"""Which way the values of a study's trials come, where the study leaves it open. Pure."""

from tuning_operator.api.study import MetricsSource, StudySpec


def source_of(spec: StudySpec) -> MetricsSource:
    """The source of a study, never `Auto`."""
    given = spec.metrics.source
    if given is not MetricsSource.AUTO:
        return given
    if spec.metrics.logs is not None:
        return MetricsSource.LOGS
    return MetricsSource.QUERY if spec.metrics.query is not None else MetricsSource.DIRECT


def port_of(spec: StudySpec) -> int:
    """Where a trial's metrics are served."""
    return spec.metrics.port


def read_at_the_end(spec: StudySpec) -> bool:
    """Whether a trial's values are complete only once its source was looked at after its end."""
    return source_of(spec) in (MetricsSource.LOGS, MetricsSource.QUERY)
