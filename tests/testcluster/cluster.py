"""What tests may ask of any cluster, ours or one that a developer brought."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import uuid
from pathlib import Path

from tests.testcluster import programs
from tests.testcluster.access import read_kubeconfig, write_kubeconfig
from tests.testcluster.client import Access, Client, Object, eventually


class KubectlError(RuntimeError):
    """kubectl left with a code other than 0; the message is what it wrote to standard error."""

    def __init__(self, args: tuple[str, ...], code: int, output: str, error: str) -> None:
        super().__init__(f"kubectl {' '.join(args)}: exit code {code}\n{error or output}")
        self.code = code
        self.output = output
        self.error = error


class Cluster:
    """An API server and an administrator's access to it; `directory` takes the files that tests need."""

    def __init__(self, access: Access, directory: Path) -> None:
        self.access = access
        self.directory = directory
        self.client = Client(access)
        self.kubeconfig = write_kubeconfig(directory / "admin.kubeconfig", access)

    @property
    def server(self) -> str:
        return self.access.server

    def kubectl(
        self,
        *args: str,
        stdin: str | Object | None = None,
        kubeconfig: Path | None = None,
        check: bool = True,
        timeout: float = 120,
    ) -> str:
        """Standard output of kubectl; with check=False also of a run that failed (`kubectl diff` exits 1)."""
        text = json.dumps(stdin) if isinstance(stdin, dict) else stdin
        run = subprocess.run(
            [programs.kubectl(), "--cache-dir", str(self.directory / "kubectl-cache"), *args],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
            env=os.environ | {"KUBECONFIG": str(kubeconfig or self.kubeconfig)},
        )
        if check and run.returncode:
            raise KubectlError(args, run.returncode, run.stdout, run.stderr)
        return run.stdout

    def apply(self, *manifests: Object | str, namespace: str | None = None) -> str:
        """Plain client-side `kubectl apply` of dicts or YAML texts."""
        text = "\n---\n".join(m if isinstance(m, str) else json.dumps(m) for m in manifests)
        return self.kubectl("apply", *(["-n", namespace] if namespace else []), "-f", "-", stdin=text)

    def new_namespace(self, prefix: str = "test", *, labels: dict[str, str] | None = None) -> str:
        """Create a namespace with a name of its own; ready when its default service account is there."""
        name = f"{prefix}-{uuid.uuid4().hex[:8]}"
        self.client.create("namespaces", {"metadata": {"name": name, "labels": labels or {}}})
        eventually(
            lambda: self.client.find("serviceaccounts", "default", name),
            timeout=60,
            what=f"default service account of namespace {name}",
        )
        return name

    def service_account_access(self, namespace: str, name: str, *, seconds: int = 86400) -> Access:
        """Access with a fresh token of a service account, exactly as its pods have it."""
        body: Object = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        body["spec"] = {"expirationSeconds": seconds}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = str(self.client.request("POST", path, body)["status"]["token"])
        return dataclasses.replace(self.access, cert=None, key=None, token=token)

    def service_account_kubeconfig(self, namespace: str, name: str, *, seconds: int = 86400) -> Path:
        """Like service_account_access, as a kubeconfig file with that namespace as its default."""
        access = self.service_account_access(namespace, name, seconds=seconds)
        return write_kubeconfig(self._file(f"{namespace}-{name}"), access, namespace=namespace)

    def user_access(self, user: str, *groups: str) -> Access:
        """Access as a user in these groups, with no rights but those that RBAC gives."""
        raise NotImplementedError("a cluster from KUBECONFIG gives no user certificates: use a service account")

    def user_kubeconfig(self, user: str, *groups: str, namespace: str = "default") -> Path:
        return write_kubeconfig(self._file(user), self.user_access(user, *groups), namespace=namespace)

    def stop(self) -> None:
        """Nothing of somebody else's cluster is stopped."""

    def log_tails(self, lines: int = 40) -> str:
        """What to print beside a failed test."""
        return ""

    def _file(self, stem: str) -> Path:
        safe = "".join(c if c.isalnum() or c in "-." else "-" for c in stem)
        return self.directory / f"{safe}-{uuid.uuid4().hex[:6]}.kubeconfig"


def existing_cluster(directory: Path) -> Cluster:
    """The cluster of $KUBECONFIG; fails at once, and says so, if nobody answers there."""
    where = os.environ.get("KUBECONFIG") or "the default kubeconfig"
    try:
        cluster = Cluster(read_kubeconfig(os.environ.get("KUBECONFIG")), directory)
        cluster.client.request("GET", "/version")
    except Exception as error:
        raise programs.MissingPrerequisiteError(
            f"TUNING_TEST_USE_KUBECONFIG is set, but no cluster answers by {where}: {error!r}. "
            f"Unset it to have the tests start a cluster of their own."
        ) from error
    return cluster
