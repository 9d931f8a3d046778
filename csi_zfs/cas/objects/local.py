"""Objects in a directory: durable when a call returns, safe between processes.

A new object is written to a temporary file, synced, and then gets its name by a rename, or by a
link where nobody may have the name yet; then the directory is synced.  What is replaced is compared
under a lock of the whole storage, which the kernel gives back when its holder ends: a process that
is stopped in the middle of a replace holds up the others.
"""

import errno
import fcntl
import os
import secrets
import stat
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path

from csi_zfs.cas.api import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectNotFoundError,
    StorageUnavailableError,
    StoreCorruptError,
    StoredObject,
)
from csi_zfs.cas.objects.disk_errors import translating
from csi_zfs.cas.objects.grammar import require_key, require_prefix
from csi_zfs.cas.objects.limits import require_readable
from csi_zfs.cas.objects.local_root import LOCK, TEMPORARIES, LocalRoot
from csi_zfs.cas.objects.local_walk import leftovers, walk
from csi_zfs.system.digest import hex_digest_of
from csi_zfs.system.files import Files, remove_if_there

# How often a name may be taken and free again while an object is put there.
_TRIES = 3


class LocalObjects:
    """An `ObjectStorage` in a directory that `make_local_storage` made; a tag is a digest.

    A key is the path of a file, so that none may go on where another one ends (`a` and `a/b`).
    An object is for the owner of the process alone.  No symbolic link below the directory is
    followed: every directory is looked at before something is written there, so that only who may
    write in the storage anyway, and wins a race, could lead a write elsewhere.
    """

    def __init__(self, root: Path, files: Files | None = None) -> None:
        """Use the storage at `root`; raises `StorageUnavailableError` where there is none."""
        self._files = files or Files()
        self._root = LocalRoot.at(root)
        # Of these directories the names are synced, up to the root.
        self._durable: set[str] = {""}
        self._guard = threading.Lock()

    def put(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """See `ObjectStorage`."""
        with self._writing(key), self._temporary(data) as temporary:
            path = self._placed(key)
            self._files.rename(temporary, path)
            self._files.sync(path.parent)

    def put_new(self, key: str, data: bytes) -> str:
        """See `ObjectStorage`."""
        with self._writing(key):
            for _ in range(_TRIES):
                if self._is_linked(key, data):
                    return hex_digest_of(data)
                with suppress(ObjectNotFoundError):
                    return self._same(key, data, ObjectExistsError)
        raise StorageUnavailableError(f"object {key} comes and goes: repeat later")

    def replace(self, key: str, data: bytes, tag: str) -> str:
        """See `ObjectStorage`."""
        with self._writing(key), self._locked():
            try:
                stored = self.get(key)
            except ObjectNotFoundError as exc:
                raise ObjectChangedError(f"object {key} was deleted") from exc
            if stored.tag != tag:
                return self._same(key, data, ObjectChangedError)
            self.put(key, data)
        return hex_digest_of(data)

    def get(self, key: str) -> StoredObject:
        """See `ObjectStorage`."""
        with self._opened(key) as descriptor:
            size_bytes = os.fstat(descriptor).st_size
            require_readable(key, size_bytes)
            data = _read(descriptor, 0, size_bytes)
        return StoredObject(data, hex_digest_of(data))

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """See `ObjectStorage`."""
        with self._opened(key) as descriptor:
            size_bytes = os.fstat(descriptor).st_size
            return [
                _read(descriptor, offset, min(length, size_bytes - offset))
                for offset, length in ranges
            ]

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStorage`; only what has the name of an object and is a plain file is one."""
        require_prefix(prefix)
        with translating(f"listing {prefix} of {self._root.path}"):
            yield from walk(self._root, prefix)
            # What went away may be the whole storage.
            self._root.require()

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStorage`; as durable as a write when it returns."""
        named = sorted(require_key(key) for key in keys)
        for directory, group in groupby(named, lambda key: key.rpartition("/")[0]):
            with translating(f"deleting below {directory} of {self._root.path}"):
                self._root.require()
                self._delete_in(directory, list(group))

    def remove_leftovers(self, before_s: float) -> int:
        """Remove the temporary files that were written before this Unix second; returns how many.

        A crash leaves them.  A put that is still at work on one fails with
        `StorageUnavailableError`, so let hours pass.
        """
        with translating(f"looking for leftovers in {self._root.path}"):
            self._root.require()
            old = leftovers(self._root, before_s)
            for name in old:
                with suppress(FileNotFoundError):
                    self._files.unlink(self._root.path / name)
        return len(old)

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        """Write in the block what may take this key, on a storage that is there."""
        require_key(key)
        with translating(f"object {key} of {self._root.path}"):
            self._root.require()
            # A copy of a storage may lack it: it is empty.
            if not self._root.has_directory(TEMPORARIES):
                with suppress(FileExistsError):
                    self._files.make_directory(self._root.path / TEMPORARIES)
            yield

    @contextmanager
    def _temporary(self, data: bytes | bytearray | memoryview) -> Iterator[Path]:
        """A synced file with this content, which is renamed in the block or gone at its end."""
        path = self._root.path / TEMPORARIES / secrets.token_hex(16)
        try:
            self._files.create(path, data)
            yield path
        finally:
            # Not after a crash, which tests play by what is no `Exception`: it unlinks nothing.
            remove_if_there(self._files.unlink, path)

    def _is_linked(self, key: str, data: bytes) -> bool:
        """Give new data this name unless it is taken."""
        with self._temporary(data) as temporary:
            path = self._placed(key)
            try:
                self._files.link(temporary, path)
            except FileExistsError:
                return False
            self._files.sync(path.parent)
        return True

    def _same(
        self, key: str, data: bytes, refusal: type[ObjectExistsError | ObjectChangedError]
    ) -> str:
        """The tag of an object that has this content already; it is durable then."""
        stored = self.get(key)
        # Whoever wrote it may have died, or not come so far yet.
        self._files.sync(self._placed(key).parent)
        if stored.data != data:
            raise refusal(f"object {key} has other content: read it again")
        return stored.tag

    def _placed(self, key: str) -> Path:
        """The path of an object; its directories are there, are no links, and are durable."""
        directory = key.rpartition("/")[0]
        with self._guard:
            self._ensure_directory(directory)
        return self._root.path / key

    def _ensure_directory(self, directory: str) -> None:
        is_there = self._root.has_directory(directory)
        if is_there and directory in self._durable:
            return
        parent = directory.rpartition("/")[0]
        self._ensure_directory(parent)
        path = self._root.path / directory
        if not is_there:
            with suppress(FileExistsError):
                self._files.make_directory(path)
        self._files.sync(path.parent)
        self._durable.add(directory)

    def _delete_in(self, directory: str, keys: Sequence[str]) -> None:
        if not self._root.has_directory(directory):
            return
        with self._locked():
            for key in keys:
                remove_if_there(self._files.unlink, self._root.path / key)
        self._files.sync(self._root.path / directory)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Nobody else replaces or deletes in the block; each call has a descriptor of its own."""
        with suppress(FileExistsError):
            # A copy of a storage may lack it.
            if not os.path.lexists(lock := self._root.path / LOCK):
                self._files.create(lock, b"")
        with self._root.opened_below(LOCK, os.O_RDWR) as descriptor:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _opened(self, key: str) -> Iterator[int]:
        """A descriptor of an object; raises `ObjectNotFoundError` where its absence is proved."""
        require_key(key)
        with translating(f"object {key} of {self._root.path}"):
            try:
                opening = self._root.opened_below(key, os.O_RDONLY | os.O_NONBLOCK)
                with opening as descriptor:
                    _require_plain(key, descriptor)
                    yield descriptor
            # A directory of other objects is none, nor is there one below an object.
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as exc:
                self._root.require()
                raise ObjectNotFoundError(f"there is no object {key}") from exc


def _require_plain(key: str, descriptor: int) -> None:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), key)
    if not stat.S_ISREG(mode):
        raise StoreCorruptError(f"object {key} is no plain file")


def _read(descriptor: int, offset: int, length: int) -> bytes:
    """As much of a part as there is; the kernel gives at most 2 GiB at a time."""
    if length <= 0:
        return b""
    data = os.pread(descriptor, length, offset)
    while data and len(data) < length:
        more = os.pread(descriptor, length - len(data), offset + len(data))
        if not more:
            break
        data += more
    return data
