"""The root directory of an open pool: proved to be there, and owned by who serves it."""

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.datasets.api import DatasetNotFoundError, PoolUnavailableError, RecordCorruptError
from csi_zfs.datasets.names import is_tombstone
from csi_zfs.reflink.errors import translating
from csi_zfs.reflink.kernel import read_small
from csi_zfs.reflink.layout import IMAGE, Layout
from csi_zfs.reflink.records import parse_pool_id


class PoolRoot:
    """Guards every operation of a pool.  Thread-safe.

    `layout`, `pool_name` and `pool_id` say where and which it is.

    The file `pool.json` is held open.  So its file system cannot be unmounted unnoticed, its device
    number cannot go to another one, and "is this still the pool that was opened?" is one `stat`.
    """

    def __init__(self, root: Path, *, pool_name: str, is_owner: bool = True) -> None:
        """Take the pool, or only look at it; raises `PoolUnavailableError`.

        Where there is none, or another process owns what is to be taken.
        """
        self.layout = Layout(root)
        self._is_owner = is_owner
        self.pool_name = pool_name
        with translating(pool_name):
            self._descriptor = self._taken()
        anchor = os.fstat(self._descriptor)
        self._identity = (anchor.st_dev, anchor.st_ino)
        try:
            self.pool_id = self._read_pool_id()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the pool; every later operation raises `PoolUnavailableError`."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def require_present(self) -> None:
        """Raise `PoolUnavailableError` unless the pool that was opened is at its place now."""
        if self._descriptor < 0:
            raise PoolUnavailableError(f"pool {self.pool_name} was closed")
        try:
            found = self.layout.anchor.lstat()
        except OSError as exc:
            where = self.layout.root
            message = f"pool {self.pool_name} is not at {where}: {exc.strerror}"
            raise PoolUnavailableError(message) from exc
        if (found.st_dev, found.st_ino) != self._identity:
            raise PoolUnavailableError(f"{self.layout.root} shows another pool than the one opened")

    @contextmanager
    def working(self, *names: str) -> Iterator[None]:
        """Do an operation that needs the named datasets and snapshots to exist.

        What is missing becomes "not found" only by a second, positive look (rules.md A5).

        Raises:
            PoolUnavailableError: see `require_present`, and `translating`.
            DatasetNotFoundError: one of `names` is proved not to exist.
            RecordCorruptError: they exist, but something of them is missing.
        """
        self.require_present()
        try:
            with translating(self.pool_name):
                yield
        except FileNotFoundError as exc:
            for name in names:
                self._explain_missing(name, exc)
            raise PoolUnavailableError(
                f"pool {self.pool_name} lacks {exc.filename}: it changed under the driver"
            ) from exc

    def _explain_missing(self, name: str, cause: FileNotFoundError) -> None:
        directory = self.layout.object(name)
        with translating(self.pool_name):
            exists = os.path.lexists(directory)
            is_proved_absent = not exists and self.layout.volumes.is_dir()
        self.require_present()
        if is_proved_absent:
            raise DatasetNotFoundError(f"there is no {name} in pool {self.pool_name}") from cause
        if is_tombstone(name) and cause.filename == str(directory / IMAGE):
            raise DatasetNotFoundError(f"{name} is deleted and has no data") from cause
        if exists and Path(cause.filename).is_relative_to(directory):
            raise RecordCorruptError(f"{name} is damaged: {cause.filename} is missing") from cause

    def _taken(self) -> int:
        try:
            return _opened(self.layout.anchor, is_locked=self._is_owner)
        except FileNotFoundError as exc:
            raise PoolUnavailableError(f"there is no pool at {self.layout.root}") from exc

    def _read_pool_id(self) -> str:
        with self.working():
            layout = self.layout
            for directory in (layout.volumes, layout.temporaries, layout.journals):
                if not stat.S_ISDIR(directory.lstat().st_mode):
                    raise PoolUnavailableError(f"{directory} is not a directory")
            anchor = layout.anchor
            return parse_pool_id(read_small(anchor.parent, anchor.name), path=anchor)


def _opened(path: Path, *, is_locked: bool) -> int:
    # The descriptor keeps the lock; the kernel lets go of both when the process dies.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if is_locked:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        os.close(descriptor)
        raise PoolUnavailableError(f"another process of the driver owns {path}") from exc
    return descriptor
