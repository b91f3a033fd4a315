"""Images for the real node, built from Dockerfiles on a stand-in for python:3.13-slim, with no registry and no engine.

An image is named by the hash of what it is made of. One that the node has is used as it is; one that it has not is
built by buildah, whose layers are kept, and handed over to containerd without being compressed or written twice.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.testcluster.cache import cache_dir, content_hash, locked, progress
from tests.testcluster.realnode import oci
from tests.testcluster.realnode.containerd import Containerd

DEBIAN = "trixie"  # the release with Python 3.13
BASE_PACKAGES = ("ca-certificates", "python3", "python3-pip", "python3-venv")
# As in the official image: `python` and `pip` are there, and pip installs where it is told to.
BASE_HOOKS = (
    'ln -s python3 "$1/usr/bin/python"',
    'rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
    'rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/* "$1"/usr/share/doc "$1"/usr/share/man "$1"/usr/share/locale',
)
CA_BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
PIP_SETTINGS = ("index-url", "extra-index-url", "trusted-host", "default-timeout", "retries", "proxy")
RUN_ROOT = "/run/tuning-testcluster-images"
IGNORED = {"__pycache__", ".git", ".venv"}


@dataclass(frozen=True)
class Recipe:
    """What an image is made of."""

    name: str
    dockerfile: Path
    context: Path
    target: str = ""
    args: Mapping[str, str] = field(default_factory=dict)
    sources: Sequence[Path] | None = None

    def reference(self) -> str:
        """The image's name; it changes with anything that goes into the image."""
        files = [self.dockerfile, *_files(self.sources if self.sources is not None else self.copied())]
        paths = (str(file.relative_to(self.context)) for file in sorted(files) if file.is_relative_to(self.context))
        words = [_base_hash(), self.target, *(f"{k}={v}" for k, v in sorted(self.args.items())), *paths]
        return f"localhost/{self.name}:{content_hash(files, *words)}"

    def copied(self) -> list[Path]:
        """What the Dockerfile copies from its context."""
        found: list[Path] = []
        text = self.dockerfile.read_text().replace("\\\n", " ")
        for line in re.findall(r"(?im)^\s*(?:COPY|ADD)\s+(.*)$", text):
            words = shlex.split(line)
            if any(word.startswith("--from=") for word in words):
                continue
            for pattern in [word for word in words if not word.startswith("--")][:-1]:
                found += self.context.glob(pattern.strip("/")) if pattern not in (".", "./") else [self.context]
        return found


def ensure(containerd: Containerd, recipe: Recipe) -> str:
    """Have the image in containerd, and return its reference."""
    reference = recipe.reference()
    if reference in containerd.images():
        return reference
    with locked("images", waiting="waiting for another run that builds images"):
        began = time.monotonic()
        progress(f"building image {reference}")
        _build(recipe, reference)
        built = time.monotonic()
        _hand_over(containerd, reference)
        progress(f"built in {built - began:.0f} s, loaded in {time.monotonic() - built:.0f} s")
        _remove_older(containerd, reference)
    return reference


def base_image() -> str:
    """The local stand-in for python:3.13-slim: a minimal Debian with its Python."""
    reference = f"localhost/python-base:{_base_hash()}"
    if _buildah("images", "--quiet", "--filter", f"reference={reference}").strip():
        return reference
    progress(f"making a Debian {DEBIAN} with Python; takes about a minute")
    with tempfile.TemporaryDirectory(dir=cache_dir()) as directory:
        rootfs = Path(directory) / "rootfs.tar"
        command = ["mmdebstrap", "--variant=minbase", f"--include={','.join(BASE_PACKAGES)}"]
        command += [f"--customize-hook={hook}" for hook in BASE_HOOKS]
        _run([*command, DEBIAN, str(rootfs)])
        container = _buildah("from", "scratch").strip()
        _buildah("add", "--quiet", container, str(rootfs), "/")
        _buildah("config", "--cmd", "python3", container)
        _buildah("commit", "--quiet", "--rm", container, reference)
    return reference


def _build(recipe: Recipe, reference: str) -> None:
    with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
        words = ["--layers", "--isolation=chroot", "--network=host", "--pull-never", f"--tag={reference}"]
        words += [f"--build-arg={key}={value}" for key, value in recipe.args.items()]
        if "BASE_IMAGE" not in recipe.args:
            words.append(f"--build-arg=BASE_IMAGE={base_image()}")
        if recipe.target:
            words.append(f"--target={recipe.target}")
        words += [f"--volume={source}:{target}:ro" for source, target in _machine_settings(Path(scratch))]
        _buildah("bud", *words, f"--file={recipe.dockerfile}", str(recipe.context))


def _machine_settings(scratch: Path) -> Iterator[tuple[Path, str]]:
    """How this machine reaches package indexes, for the time of the build only; nothing of it gets into the image."""
    settings = {name: os.environ.get(f"PIP_{name.upper().replace('-', '_')}") for name in PIP_SETTINGS}
    bundle = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    if bundle and Path(bundle).is_file():
        settings["cert"] = CA_BUNDLE
        yield Path(bundle).resolve(), CA_BUNDLE
    config = scratch / "pip.conf"
    lines = [f"{name} = {value}" for name, value in settings.items() if value]
    config.write_text("\n".join(["[global]", *lines, ""]))
    yield config, "/etc/pip.conf"


def _hand_over(containerd: Containerd, reference: str) -> None:
    with tempfile.TemporaryDirectory(dir=cache_dir()) as directory:
        layout = Path(directory)
        # skopeo writes only blobs that are not there: layers that containerd has are linked, neither read nor copied.
        known = layout / "blobs" / "sha256"
        known.mkdir(parents=True)
        (layout / "oci-layout").write_bytes(oci.LAYOUT)
        (layout / "index.json").write_text('{"schemaVersion":2,"manifests":[]}')
        if containerd.blobs().is_dir():
            for blob in containerd.blobs().iterdir():
                os.link(blob, known / blob.name)
        source = f"containers-storage:[overlay@{_storage()}+{RUN_ROOT}]{reference}"
        # Not `buildah push`, which compresses every layer of a layout: minutes for an image with torch.
        uncompressed = "--dest-oci-accept-uncompressed-layers"
        _run(["skopeo", "copy", "--quiet", "--insecure-policy", uncompressed, source, f"oci:{layout}:image"])
        containerd.load(oci.layout_archive(layout, reference, without=containerd.blobs()))


def _remove_older(containerd: Containerd, reference: str) -> None:
    name = reference.rpartition(":")[0]
    for other in containerd.images():
        if other.startswith(f"{name}:") and other != reference:
            containerd.remove_image(other)
    for other in _buildah("images", "--format", "{{.Name}}:{{.Tag}}").split():
        if other.startswith(f"{name}:") and other != reference:
            _buildah("rmi", other, check=False)
    _buildah("rmi", "--prune", check=False)  # layers that no image needs; a torch is 6 GB


def _buildah(*words: str, check: bool = True) -> str:
    root = f"--root={_storage()}"
    return _run(["buildah", root, f"--runroot={RUN_ROOT}", "--storage-driver=overlay", *words], check=check)


def _storage() -> Path:
    return cache_dir() / "node" / "buildah"


def _run(command: Sequence[str], *, check: bool = True) -> str:
    run = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if check and run.returncode:
        shown = shlex.join(command[:12])
        raise RuntimeError(f"{shown} ... failed:\n{run.stdout[-3000:]}\n{run.stderr[-3000:]}")
    return run.stdout


def _base_hash() -> str:
    return content_hash([], DEBIAN, *BASE_PACKAGES, *BASE_HOOKS)


def _files(sources: Sequence[Path]) -> list[Path]:
    found: set[Path] = set()
    for source in sources:
        inside = source.rglob("*") if source.is_dir() else [source]
        found |= {f for f in inside if f.is_file() and not IGNORED & set(f.parts) and f.suffix != ".pyc"}
    return sorted(found)
