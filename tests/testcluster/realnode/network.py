"""The bridge that pods hang on. Its address is the node's, the API server's and the pods' gateway at once.

Nothing is routed beyond this machine and nothing is masqueraded: pods reach each other, the host and Services.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

BRIDGE = "tuningtest0"
ADDRESS = "10.244.0.1"
POD_NETWORK = "10.244.0.0/24"
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


class PodNetwork:
    """The bridge while it exists; `directory` holds the CNI configuration and the leases of addresses."""

    def __init__(self, directory: Path) -> None:
        self.config = directory / "net.d"
        self._leases = directory / "leases"
        self._before = directory / "ip_forward"

    def up(self) -> None:
        """Make the bridge, from whatever an earlier run left."""
        self._remove()
        if not self._before.exists():  # a run that was killed has left what was before it
            self._before.write_text(FORWARDING.read_text())
        self.config.mkdir(parents=True, exist_ok=True)
        (self.config / "10-bridge.conflist").write_text(json.dumps(self._conflist()))
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("addr", "add", f"{ADDRESS}/24", "dev", BRIDGE)
        _ip("link", "set", BRIDGE, "up")

    def down(self) -> None:
        """Remove the bridge and what kube-proxy and CNI set up on the machine."""
        self._remove()
        for family in ("ip", "ip6"):
            subprocess.run(["nft", "delete", "table", family, "kube-proxy"], capture_output=True, check=False)
        if self._before.exists():
            FORWARDING.write_text(self._before.read_text())  # the bridge plugin switches it on

    def _remove(self) -> None:
        subprocess.run(["ip", "link", "delete", BRIDGE], capture_output=True, check=False)
        shutil.rmtree(self._leases, ignore_errors=True)

    def _conflist(self) -> dict[str, object]:
        bridge = {
            "type": "bridge",
            "bridge": BRIDGE,
            "isGateway": True,
            "hairpinMode": True,
            "ipam": {
                "type": "host-local",
                "dataDir": str(self._leases),
                "ranges": [[{"subnet": POD_NETWORK, "gateway": ADDRESS}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }
        return {"cniVersion": "0.4.0", "name": "testcluster", "plugins": [bridge]}


def _ip(*words: str) -> None:
    run = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if run.returncode:
        raise RuntimeError(f"ip {' '.join(words)}: {run.stderr.strip()}")
