"""The directory of a local storage: how it is made, and how one knows that it is still the same.

A directory without its mark is never taken for an empty storage: it may be the mount point of a
disk that is away.
"""

import errno
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.cas.api import StorageUnavailableError, UnknownFormatError, UnsafeStorageError
from csi_zfs.cas.objects.disk_errors import translating
from csi_zfs.domain.errors import IncompatibleError
from csi_zfs.system.files import Files, remove_if_there
from csi_zfs.system.opening import open_below, opened

# No key of an object begins with a dot.
MARK = ".objects"
LOCK = ".lock"
TEMPORARIES = ".tmp"
_OWN = {MARK, LOCK, TEMPORARIES, "lost+found"}
_MARK_BYTES = 256
_MARK = re.compile(rb"csi-zfs objects ([0-9]{1,9})\n([0-9a-f]{32})\n", re.ASCII)
_VERSION = 1
_DIRECTORY = os.O_PATH | os.O_DIRECTORY


class DirectoryInUseError(IncompatibleError):
    """The directory holds other things: a storage needs one of its own."""


@dataclass(frozen=True, slots=True)
class LocalRoot:
    """An existing storage; `storage_id` tells it from every other one that is put at its path."""

    path: Path
    storage_id: str

    @classmethod
    def at(cls, path: Path) -> "LocalRoot":
        """The storage at this path; raises `StorageUnavailableError`, `UnknownFormatError`."""
        with translating(f"the storage {path}"):
            resolved = path.resolve()
            return cls(resolved, _storage_id(resolved))

    def require(self) -> None:
        """Raise `StorageUnavailableError` unless this storage is still at its path."""
        if _storage_id(self.path) != self.storage_id:
            raise StorageUnavailableError(f"another storage has taken the place of {self.path}")

    @contextmanager
    def opened_below(self, relative: str, flags: int) -> Iterator[int]:
        """A descriptor of what is there, which no symbolic link led to; raises `OSError`."""
        with opened(self.path, _DIRECTORY) as root:
            descriptor = open_below(root, relative or ".", flags)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def has_directory(self, relative: str) -> bool:
        """Whether this is a directory that no symbolic link led to; anything else raises."""
        try:
            with self.opened_below(relative, _DIRECTORY):
                return True
        except FileNotFoundError:
            return False


def make_local_storage(path: Path, files: Files | None = None) -> None:
    """Make a directory a storage, and make the directory too where its parent is there.

    Safe to repeat, and after a crash anywhere; it has no effect on a storage.  Raises
    `DirectoryInUseError` where there are other things, `UnsafeStorageError` where the file system
    has no hard links, `StorageUnavailableError` and the like.
    """
    files = files or Files()
    with translating(f"making a storage of {path}"):
        path = path.resolve()
        with suppress(FileExistsError):
            files.make_directory(path)
        files.sync(path.parent)
        names = {entry.name for entry in path.iterdir()}
        if MARK in names:
            files.sync(path)
        elif strangers := names - _OWN:
            raise DirectoryInUseError(f"{path} holds other things, such as {min(strangers)}")
        else:
            _furnish(files, path)


def _furnish(files: Files, path: Path) -> None:
    with suppress(FileExistsError):
        files.make_directory(path / TEMPORARIES)
    with suppress(FileExistsError):
        files.create(path / LOCK, b"")
    files.sync(path)
    # By a link: of two who make it at once one decides what its id is.
    content = f"csi-zfs objects {_VERSION}\n{secrets.token_hex(16)}\n".encode()
    temporary = path / TEMPORARIES / secrets.token_hex(16)
    try:
        files.create(temporary, content)
        _mark(files, temporary, path / MARK)
    finally:
        remove_if_there(files.unlink, temporary)
    files.sync(path)


def _mark(files: Files, temporary: Path, mark: Path) -> None:
    with suppress(FileExistsError):
        try:
            files.link(temporary, mark)
        except OSError as exc:
            # Of a file of one's own, made a moment ago: link(2) says so where there are no links.
            if exc.errno in {errno.EPERM, errno.EOPNOTSUPP}:
                raise UnsafeStorageError(
                    f"{mark.parent} is on a file system without hard links, which a storage needs"
                ) from exc
            raise


def _storage_id(path: Path) -> str:
    try:
        with opened(path / MARK, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            content = os.read(descriptor, _MARK_BYTES)
    except OSError as exc:
        if exc.errno not in {errno.ENOENT, errno.ENOTDIR}:
            raise
        words = "is no storage of objects, or its disk is not mounted: it has no file"
        raise StorageUnavailableError(f"{path} {words} {MARK}") from exc
    match = _MARK.fullmatch(content)
    if match is None or int(match[1]) != _VERSION:
        raise UnknownFormatError(f"{path / MARK} is not of a version that this program knows")
    return match[2].decode()
