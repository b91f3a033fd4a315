"""How to reach the API server: kubeconfig or service account, with tokens that stay fresh.

One `Connection` serves our own client and, as plain values, kopf's. Tokens of service accounts are read again each
minute (they are rotated on disk); whatever a kubeconfig says is read again when the server answered 401.
"""

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException
from kubernetes.aio.config.incluster_config import (
    SERVICE_CERT_FILENAME,
    SERVICE_TOKEN_FILENAME,
    InClusterConfigLoader,
)
from kubernetes.aio.config.kube_config import KUBE_CONFIG_DEFAULT_LOCATION, list_kube_config_contexts, load_kube_config

NAMESPACE_FILE = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"


class NoConnectionError(Exception):
    """Neither a kubeconfig nor a service account says how to reach an API server."""


@dataclass(frozen=True)
class Source:
    """Where the connection's settings come from: this kubeconfig, or the pod's service account."""

    kubeconfig: str | None = None
    context: str | None = None
    token_file: str = SERVICE_TOKEN_FILENAME
    ca_file: str = SERVICE_CERT_FILENAME

    @staticmethod
    def find(kubeconfig: str | None, context: str | None = None, environ: Mapping[str, str] = os.environ) -> "Source":
        """The kubeconfig that was named; else, in a pod, its service account; else `$KUBECONFIG` or the default
        file."""
        if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in environ and Path(SERVICE_TOKEN_FILENAME).is_file():
            return Source()
        return Source(kubeconfig or environ.get("KUBECONFIG") or str(KUBE_CONFIG_DEFAULT_LOCATION), context)


class Connection:
    """The settings as they are now; `reload` reads them again."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.configuration: Configuration = None
        self._loaded_at = 0.0

    @staticmethod
    async def open(source: Source) -> "Connection":
        connection = Connection(source)
        await connection.reload()
        return connection

    async def reload(self) -> None:
        configuration = Configuration()
        configuration.client_session_kwargs = {"trust_env": _uses_proxy()}
        configuration.connection_pool_maxsize = 64
        try:
            if self.source.kubeconfig is None:
                InClusterConfigLoader(self.source.token_file, self.source.ca_file).load_and_set(configuration)
            else:
                await load_kube_config(
                    self.source.kubeconfig,
                    self.source.context,
                    client_configuration=configuration,
                    persist_config=False,
                )
        except (ConfigException, OSError, TypeError) as error:
            where = self.source.kubeconfig or "the pod's service account"
            raise NoConnectionError(f"{where}: {error}; name a kubeconfig with --kubeconfig or $KUBECONFIG") from error
        self.configuration = configuration
        self._loaded_at = time.monotonic()

    @property
    def age(self) -> float:
        return time.monotonic() - self._loaded_at

    @property
    def server(self) -> str:
        return str(self.configuration.host)

    async def authorization(self) -> str | None:
        """Value of the `Authorization` header, if one is used."""
        token = await self.configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
        return str(token) if token else None


def own_namespace(default: str = "default") -> str:
    """The namespace of the pod that this runs in."""
    try:
        return Path(NAMESPACE_FILE).read_text().strip() or default
    except OSError:
        return default


def namespace_of(source: "Source") -> str:
    """The one that kubectl would take."""
    if source.kubeconfig is None:
        return own_namespace()
    contexts, current = list_kube_config_contexts(source.kubeconfig)
    chosen = next((each for each in contexts if each["name"] == source.context), current)
    return str((chosen or {}).get("context", {}).get("namespace") or "default")


def _uses_proxy() -> bool:
    # Asking the environment costs aiohttp a thread hop for each request; only where a proxy is named is it worth it.
    return any(
        os.environ.get(name)
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
    )
