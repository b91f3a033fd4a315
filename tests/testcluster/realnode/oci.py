"""Images as containerd takes them in: OCI archives, written piece by piece."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.testcluster import programs

LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
MEDIA = "application/vnd.oci.image"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PIECE = 1 << 20


def pause_image(reference: str) -> Iterator[bytes]:
    """The image that every pod's sandbox is made of: one static program."""
    layer = _layer({"pause": programs.PAUSE.path()})
    config = _json(
        {
            "architecture": ARCHITECTURES.get(platform.machine(), platform.machine()),
            "os": "linux",
            "config": {"Entrypoint": ["/pause"], "User": "65535:65535"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{_digest(layer)}"]},
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{MEDIA}.manifest.v1+json",
            "config": _descriptor(f"{MEDIA}.config.v1+json", config),
            "layers": [_descriptor(f"{MEDIA}.layer.v1.tar", layer)],
        }
    )
    descriptor = _descriptor(f"{MEDIA}.manifest.v1+json", manifest)
    descriptor["annotations"] = {"io.containerd.image.name": reference}
    index = _json({"schemaVersion": 2, "manifests": [descriptor]})
    blobs = {f"blobs/sha256/{_digest(blob)}": blob for blob in (layer, config, manifest)}
    for name, content in ({"oci-layout": LAYOUT, "index.json": index} | blobs).items():
        yield from _entry(name, len(content), io.BytesIO(content))
    yield b"\0" * 1024


def layout_archive(layout: Path, reference: str, *, without: Path) -> Iterator[bytes]:
    """An OCI layout directory with one image as an archive of this name, less the blobs that `without` has already."""
    index = json.loads((layout / "index.json").read_text())
    (descriptor,) = index["manifests"]
    descriptor["annotations"] = {"io.containerd.image.name": reference}
    text = _json(index)
    yield from _entry("oci-layout", len(LAYOUT), io.BytesIO(LAYOUT))
    yield from _entry("index.json", len(text), io.BytesIO(text))
    for blob in sorted((layout / "blobs" / "sha256").iterdir()):
        if not (without / blob.name).exists():
            with blob.open("rb") as content:
                yield from _entry(f"blobs/sha256/{blob.name}", blob.stat().st_size, content)
    yield b"\0" * 1024


def _entry(name: str, size: int, content: io.BufferedIOBase) -> Iterator[bytes]:
    info = tarfile.TarInfo(name)
    info.size = size
    yield info.tobuf(tarfile.GNU_FORMAT)
    while piece := content.read(PIECE):
        yield piece
    yield b"\0" * (-size % tarfile.BLOCKSIZE)


def _layer(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, path in files.items():
            info = tarfile.TarInfo(name)
            info.mode = 0o755
            info.size = path.stat().st_size
            with path.open("rb") as content:
                tar.addfile(info, content)
    return buffer.getvalue()


def _descriptor(media: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media, "digest": f"sha256:{_digest(blob)}", "size": len(blob)}


def _digest(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
