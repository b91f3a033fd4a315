"""containerd with a root, a state and a socket of its own; its images stay in the cache between runs."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.testcluster.cache import cache_dir
from tests.testcluster.processes import Process
from tests.testcluster.realnode import oci
from tests.testcluster.realnode.prerequisites import cni_directory

PAUSE_IMAGE = "localhost/pause:1"
CONFIG = """
version = 2
root = "{root}"
state = "{state}"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{socket}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{pause}"
# Without CAP_SYS_RESOURCE no score below our own can be set, and every sandbox would fail.
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{cni}"
conf_dir = "{network}"

[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{registry}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false
"""
# Whatever is not loaded beforehand is not found, at once and without asking anybody outside.
NO_REGISTRY = 'server = "http://127.0.0.1:1"\n[host."http://127.0.0.1:1"]\n'


class Containerd:
    """The container runtime of the node. `run` is a directory on which nothing else depends."""

    def __init__(self, run: Path, network_config: Path) -> None:
        self.root = cache_dir() / "node" / "containerd"
        self.socket = run / "containerd.sock"
        registry = run / "registry"
        (registry / "_default").mkdir(parents=True, exist_ok=True)
        (registry / "_default" / "hosts.toml").write_text(NO_REGISTRY)
        config = run / "containerd.toml"
        config.write_text(
            CONFIG.format(
                root=self.root,
                state=run / "containerd",
                socket=self.socket,
                pause=PAUSE_IMAGE,
                cni=cni_directory(),
                network=network_config,
                registry=registry,
            )
        )
        self.process = Process("containerd", ["containerd", "--config", config], log=run / "containerd.log")

    def start(self) -> None:
        """Start it, remove the containers that an earlier run left, and have the pause image ready."""
        self.process.start()
        self.process.wait_until(lambda: bool(self.ctr("version")))
        self.purge()
        if PAUSE_IMAGE not in self.images():
            self.load(oci.pause_image(PAUSE_IMAGE))

    def stop(self) -> None:
        if self.process.running:
            self.purge()
        self.process.stop()

    def ctr(self, *words: str, check: bool = True) -> str:
        """Standard output of containerd's own command line tool."""
        run = subprocess.run(self._command(*words), capture_output=True, text=True, check=False, timeout=120)
        if check and run.returncode:
            raise RuntimeError(f"ctr {' '.join(words)}: {run.stderr.strip()}")
        return run.stdout

    def images(self) -> set[str]:
        """The references of all images that pods can use."""
        return set(self.ctr("images", "ls", "-q").split())

    def blobs(self) -> Path:
        """The directory of the content store, laid out like the blobs of an OCI image layout."""
        return self.root / "io.containerd.content.v1.content" / "blobs" / "sha256"

    def load(self, archive: Iterable[bytes]) -> None:
        """Take in an image from the pieces of an OCI archive; blobs that are here already may be left out."""
        command = self._command("images", "import", "--digests=false", "-")
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                for piece in archive:
                    process.stdin.write(piece)
                process.stdin.close()
            assert process.stdout is not None
            said = process.stdout.read().decode(errors="replace")
        if process.returncode:
            raise RuntimeError(f"ctr images import: {said.strip()}")

    def remove_image(self, reference: str) -> None:
        self.ctr("images", "rm", reference, check=False)

    def purge(self) -> None:
        """Remove every container by force. Their network namespaces go too, and with these the ends on the bridge."""
        for task in self.ctr("tasks", "ls", "-q").split():
            self.ctr("tasks", "rm", "--force", task, check=False)
        for container in self.ctr("containers", "ls", "-q").split():
            for namespace in self._network_namespaces(container):
                subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)
            self.ctr("containers", "rm", container, check=False)

    def _network_namespaces(self, container: str) -> set[str]:
        text = self.ctr("containers", "info", container, check=False)
        try:
            namespaces = json.loads(text)["Spec"]["linux"]["namespaces"]
        except (ValueError, KeyError, TypeError):
            return set()
        paths = (Path(n.get("path", "")) for n in namespaces if n.get("type") == "network")
        return {path.name for path in paths if path.name.startswith("cni-")}

    def _command(self, *words: str) -> list[str]:
        return ["ctr", "--address", str(self.socket), "--namespace", "k8s.io", *words]


def unmount_below(directory: Path) -> None:
    """Unmount a directory and whatever is mounted in it, deepest first, and remove it."""
    mounts = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    for mount in sorted((m for m in mounts if f"{m}/".startswith(f"{directory}/")), reverse=True):
        subprocess.run(["umount", "--lazy", mount.replace("\\040", " ")], capture_output=True, check=False)
    shutil.rmtree(directory, ignore_errors=True)
