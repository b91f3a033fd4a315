"""A study of a cluster as its report needs it: read once with the user's own kubeconfig, nothing is written.

Imported only when a cluster is asked for: it needs the Kubernetes client, which a laptop need not have.
"""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = dict[str, Any]

_NAMED = re.compile(r"(tuningstudy|tuningstudies|tstudy)(\.tuning\.study)?/(?P<name>[^/]+)")


class ClusterError(Exception):
    """The study cannot be read; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Which study, and how to reach its cluster."""

    name: str
    namespace: str | None = None
    kubeconfig: str | None = None
    context: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    namespace: str
    study: Json
    trials: list[Json]


def name_of(place: Path | None) -> str | None:
    """The study that `tuningstudy/NAME` means, as kubectl writes it; None for anything else."""
    found = None if place is None or place.exists() else _NAMED.fullmatch(str(place))
    return found["name"] if found is not None else None


def read(asked: Asked) -> Found:
    """The study and its trials. Raises `ClusterError`."""
    try:
        from tuning_operator.cluster.connection import NoConnectionError, Source
        from tuning_operator.cluster.errors import ApiError, NotFoundError
    except ImportError as error:
        raise ClusterError(
            f"reading a cluster needs its client ({error}); install it: pip install 'tuning-operator[operator]'"
        ) from error
    source = Source.find(asked.kubeconfig, asked.context)
    try:
        return asyncio.run(_read(asked, source))
    except NoConnectionError as error:
        raise ClusterError(str(error)) from error
    except NotFoundError as error:
        raise ClusterError(f"{asked.name}: {error.message}; choose the namespace with -n") from error
    except ApiError as error:
        raise ClusterError(f"{asked.name}: {error}") from error


async def _read(asked: Asked, source: Any) -> Found:
    from tuning_operator.api.names import LABEL_STUDY_UID
    from tuning_operator.cluster.client import STUDIES, TRIALS, Client
    from tuning_operator.cluster.connection import Connection, namespace_of

    connection = await Connection.open(source)
    namespace = asked.namespace or namespace_of(source)
    client = Client(connection)
    try:
        study = await client.get(STUDIES, namespace, asked.name)
        selector = f"{LABEL_STUDY_UID}={study['metadata']['uid']}"
        trials = await client.collect(TRIALS, namespace, labels=selector)
    finally:
        await client.close()
    return Found(namespace, study, list({trial["metadata"]["name"]: trial for trial in trials}.values()))
