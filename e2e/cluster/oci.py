"""Container images in one file, without a registry and without a docker engine."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_PREFIX = "application/vnd.oci.image."
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(slots=True)
class Layer:
    """The one file system layer of an image, whose members all belong to root and have no time."""

    _buffer: io.BytesIO = field(default_factory=io.BytesIO)

    def directory(self, name: str, mode: int = 0o755) -> None:
        """Add a directory."""
        member = tarfile.TarInfo(name)
        member.type, member.mode = tarfile.DIRTYPE, mode
        self._add(member)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        member = tarfile.TarInfo(name)
        member.type, member.linkname = tarfile.SYMTYPE, target
        self._add(member)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Add a file."""
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), mode
        self._add(member, data)

    def program(self, name: str, source: Path) -> None:
        """Add a program of this machine."""
        self.file(name, source.read_bytes(), 0o755)

    def content(self) -> bytes:
        """The layer as a tar archive."""
        end = b"\0" * (2 * tarfile.BLOCKSIZE)
        return self._buffer.getvalue() + end

    def _add(self, member: tarfile.TarInfo, data: bytes = b"") -> None:
        self._buffer.write(member.tobuf(tarfile.PAX_FORMAT))
        self._buffer.write(data)
        self._buffer.write(b"\0" * (-len(data) % tarfile.BLOCKSIZE))


def write_image(
    archive: Path, name: str, layer: Layer, *, entrypoint: Sequence[str] = (), architecture: str
) -> None:
    """Write an image of one layer as an OCI archive, which containerd imports under `name`."""
    blobs: dict[str, bytes] = {}

    def add(data: bytes, media_type: str) -> dict[str, object]:
        hex_digest = hashlib.sha256(data).hexdigest()
        blobs[hex_digest] = data
        kind = f"{_PREFIX}{media_type}"
        return {"mediaType": kind, "digest": f"sha256:{hex_digest}", "size": len(data)}

    filesystem = add(layer.content(), "layer.v1.tar")
    configuration = {
        "architecture": architecture,
        "os": "linux",
        "rootfs": {"type": "layers", "diff_ids": [filesystem["digest"]]},
        "config": {"Env": [f"PATH={_PATH}"], "Entrypoint": list(entrypoint), "WorkingDir": "/"},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": f"{_PREFIX}manifest.v1+json",
        "config": add(_json(configuration), "config.v1+json"),
        "layers": [filesystem],
    }
    described = add(_json(manifest), "manifest.v1+json")
    described["annotations"] = {"io.containerd.image.name": name}
    _write(archive, blobs, {"schemaVersion": 2, "manifests": [described]})


def _write(archive: Path, blobs: dict[str, bytes], index: dict[str, object]) -> None:
    files = {"oci-layout": _json({"imageLayoutVersion": "1.0.0"}), "index.json": _json(index)}
    files |= {f"blobs/sha256/{hex_digest}": data for hex_digest, data in blobs.items()}
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True).encode()
