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
END = b"\0" * 1024


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
    yield from _head(reference, manifest)
    for blob in (config, layer):
        yield from _entry(f"blobs/sha256/{_digest(blob)}", len(blob), io.BytesIO(blob))
    yield END


def layout_archive(layout: Path, reference: str, *, without: Path) -> Iterator[bytes]:
    """An OCI layout directory as an archive of one image of this name.

    Blobs that are in the directory `without` are left out: whoever takes the archive in has them.
    """
    blobs = layout / "blobs" / "sha256"
    (descriptor,) = json.loads((layout / "index.json").read_text())["manifests"]
    manifest = (blobs / _hex(descriptor)).read_bytes()
    content = json.loads(manifest)
    yield from _head(reference, manifest)
    for name in dict.fromkeys(_hex(part) for part in (content["config"], *content["layers"])):
        if not (without / name).exists():
            with (blobs / name).open("rb") as blob:
                yield from _entry(f"blobs/sha256/{name}", (blobs / name).stat().st_size, blob)
    yield END


def _head(reference: str, manifest: bytes) -> Iterator[bytes]:
    descriptor = _descriptor(f"{MEDIA}.manifest.v1+json", manifest)
    descriptor["annotations"] = {"io.containerd.image.name": reference}
    index = _json({"schemaVersion": 2, "manifests": [descriptor]})
    entries = {"oci-layout": LAYOUT, "index.json": index, f"blobs/sha256/{_digest(manifest)}": manifest}
    for name, content in entries.items():
        yield from _entry(name, len(content), io.BytesIO(content))


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


def _hex(descriptor: Mapping[str, Any]) -> str:
    return str(descriptor["digest"]).partition(":")[2]


def _digest(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
