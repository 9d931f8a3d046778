"""Reading an image from an OCI archive: its digest, its configuration, its files."""

import gzip
import hashlib
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from e2e.image.errors import ImageError

Document: TypeAlias = dict[str, Any]

_WHITEOUT = ".wh."


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of an image, so that equal entries are equal files; directories have no size."""

    kind: bytes
    mode: int
    owner: tuple[int, int]
    time_s: int
    link: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class Archive:
    """An OCI archive with one image in it."""

    path: Path

    @property
    def digest(self) -> str:
        """The digest by which the image is known."""
        return str(self._manifest_descriptor()["digest"])

    @property
    def name(self) -> str:
        """The name that it is imported as."""
        annotations: Document = self._manifest_descriptor()["annotations"]
        return str(annotations["org.opencontainers.image.ref.name"])

    def manifest(self) -> Document:
        """The list of what the image consists of."""
        return self._document(_blob(self.digest))

    def configuration(self) -> Document:
        """How the image runs, and what it says about itself."""
        return self._document(_blob(self.manifest()["config"]["digest"]))

    def entries(self) -> dict[str, Entry]:
        """Every file of the image by its path."""
        found: dict[str, Entry] = {}
        for layer in self._layers():
            for member in layer:
                found[_path(member)] = _entry(layer, member)
        return found

    def names_of_layers(self) -> list[set[str]]:
        """The paths that each layer brings, from the lowest one up."""
        return [{_path(member) for member in layer} for layer in self._layers()]

    def size_bytes(self) -> int:
        """What the files of the image take, uncompressed."""
        return sum(entry.size for entry in self.entries().values())

    def read(self, path: str) -> bytes:
        """The contents of one file, as its last layer has it.

        Raises:
            ImageError: the image has no such file.
        """
        data = None
        for layer in self._layers():
            for member in layer:
                if _path(member) == path and (file := layer.extractfile(member)):
                    data = file.read()
        if data is None:
            raise ImageError(f"{self.path} has no file {path}")
        return data

    def unpack(self, target: Path) -> None:
        """Write all files below an empty directory, with their owners: as root."""
        for layer in self._layers():
            # The image is our own, and its links and owners are what is to be looked at.
            layer.extractall(target, filter="fully_trusted")

    def _layers(self) -> Iterator[tarfile.TarFile]:
        for descriptor in self.manifest()["layers"]:
            with self._opened(_blob(descriptor["digest"])) as layer:
                names = [Path(name).name for name in layer.getnames()]
                if any(name.startswith(_WHITEOUT) for name in names):
                    raise ImageError(f"{self.path}: a layer takes files of another one away")
                yield layer

    @contextmanager
    def _opened(self, blob: str) -> Iterator[tarfile.TarFile]:
        with tarfile.open(self.path) as archive:
            file = archive.extractfile(blob)
            if file is None:
                raise ImageError(f"{self.path} has no {blob}")
            with gzip.open(file) as unpacked, tarfile.open(fileobj=unpacked) as layer:
                yield layer

    def _manifest_descriptor(self) -> Document:
        manifests = self._document("index.json")["manifests"]
        if len(manifests) != 1:
            raise ImageError(f"{self.path} has {len(manifests)} images, not one")
        descriptor: Document = manifests[0]
        return descriptor

    def _document(self, name: str) -> Document:
        with tarfile.open(self.path) as archive:
            file = archive.extractfile(name)
            document: Document = json.load(file) if file else {}
        return document


def differences(one: Archive, other: Archive) -> list[str]:
    """What differs between two images, file by file and at last as a whole; empty: nothing."""
    ours, theirs = one.entries(), other.entries()
    words = [
        f"{path}: {ours.get(path, 'missing')} and {theirs.get(path, 'missing')}"
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path)
    ]
    if one.configuration() != other.configuration():
        words.append(f"configuration: {one.configuration()} and {other.configuration()}")
    if one.manifest() != other.manifest():
        words.append(f"manifest: {one.manifest()} and {other.manifest()}")
    return words


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _path(member: tarfile.TarInfo) -> str:
    return member.name.removeprefix("./").strip("/")


def _entry(layer: tarfile.TarFile, member: tarfile.TarInfo) -> Entry:
    hasher = hashlib.sha256()
    if member.isreg() and (file := layer.extractfile(member)):
        hasher.update(file.read())
    return Entry(
        kind=member.type,
        mode=member.mode,
        owner=(member.uid, member.gid),
        time_s=int(member.mtime),
        link=member.linkname,
        size=member.size if member.isreg() else 0,
        digest=hasher.hexdigest(),
    )
