"""Kubeconfig files, and the Access of one that somebody else wrote."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

from tests.testcluster.client import Access


def write_kubeconfig(path: Path, access: Access, *, namespace: str = "default") -> Path:
    """A self-contained kubeconfig (nothing but data inside) for this access."""
    cluster: dict[str, Any] = {"server": access.server}
    if access.ca:
        cluster["certificate-authority-data"] = _data(access.ca)
    user: dict[str, Any] = {}
    if access.cert and access.key:
        user = {"client-certificate-data": _data(access.cert), "client-key-data": _data(access.key)}
    if access.token:
        user["token"] = access.token
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test", "namespace": namespace}}],
        "current-context": "test",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def read_kubeconfig(path: str | None) -> Access:
    """The access of the current context of any kubeconfig, whatever plugin it logs in with; None is $KUBECONFIG."""
    from kubernetes.client import Configuration
    from kubernetes.config import load_kube_config

    config = Configuration()
    load_kube_config(config_file=path, client_configuration=config)
    bearer = config.get_api_key_with_prefix("authorization") or ""
    return Access(
        server=config.host.rstrip("/"),
        ca=Path(config.ssl_ca_cert) if config.ssl_ca_cert else None,
        cert=Path(config.cert_file) if config.cert_file else None,
        key=Path(config.key_file) if config.key_file else None,
        token=bearer.removeprefix("Bearer ") or None,
    )


def _data(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
