"""Serves the live values at /metrics in the Prometheus text format. prometheus-client is imported only when there is a
port.

One snapshot per scrape: the step and the metrics of a scrape always belong together.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client.core import GaugeMetricFamily


@dataclass(frozen=True, slots=True)
class Live:
    """What a scrape sees, taken together."""

    step: int | None
    """The last step; None before the first report."""
    values: Mapping[str, float]
    """The latest value of each metric."""
    rungs: Mapping[int, Mapping[str, float]]
    """Budget -> value of each objective there."""


Snapshot = Callable[[], Live]


class MetricsServer:
    """A running /metrics endpoint in daemon threads."""

    def __init__(self, server: Any, thread: Any) -> None:
        self._server = server
        self._thread = thread

    @property
    def port(self) -> int:
        """The port that is served; useful when 0 asked for any free one."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Stops serving."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve(port: int, snapshot: Snapshot) -> MetricsServer | None:
    """Serves `snapshot` on all addresses; None, told on standard error, when the port cannot be had."""
    from prometheus_client import CollectorRegistry, start_http_server

    registry = CollectorRegistry()
    registry.register(_Collector(snapshot))
    try:
        server, thread = start_http_server(port, registry=registry)
    except (OSError, OverflowError) as error:
        print(f"tuning_trial: metrics cannot be served on port {port}: {error}", file=sys.stderr)
        return None
    return MetricsServer(server, thread)


class _Collector:
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterator[GaugeMetricFamily]:
        from prometheus_client.core import GaugeMetricFamily

        live = self._snapshot()
        if live.step is not None:
            yield GaugeMetricFamily("tuning_step", "The last step reported.", value=live.step)
        for name in sorted(live.values):
            yield GaugeMetricFamily(f"tuning_{name}", f"The latest {name} reported.", value=live.values[name])
        if live.rungs:
            family = GaugeMetricFamily("tuning_rung", "An objective at a budget.", labels=("metric", "budget"))
            for budget, values in sorted(live.rungs.items()):
                for name in sorted(values):
                    family.add_metric((name, str(budget)), values[name])
            yield family
