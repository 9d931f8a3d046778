"""Where a pool is on this machine: its directory, and the image in it or the layout in it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.reflink.layout import Layout
from csi_zfs.system.clock import Clock, SystemClock
from csi_zfs.system.files import Files
from csi_zfs.system.runner import Runner, SystemRunner


@dataclass(frozen=True, slots=True)
class Tools:
    """The doors to the machine that pools are made and opened through."""

    files: Files = field(default_factory=Files)
    runner: Runner = field(default_factory=SystemRunner)
    clock: Clock = field(default_factory=SystemClock)


@dataclass(frozen=True, slots=True)
class Place:
    """The directory of a pool."""

    path: Path

    @property
    def image(self) -> Path:
        """The image file, where the pool has one."""
        return self.path / "pool.img"

    @property
    def unfinished_image(self) -> Path:
        """The image file while the pool is made."""
        return self.path / ".pool.img.new"

    @property
    def mount_point(self) -> Path:
        """Where the image is mounted."""
        return self.path / "mnt"

    def has_image(self) -> bool:
        """Whether this is a pool in an image file."""
        return os.path.lexists(self.image)

    def has_layout(self) -> bool:
        """Whether this is a pool in the directory itself."""
        return os.path.lexists(Layout(self.path).anchor)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from making, opening or closing this pool at the same time.

        Raises `PoolUnavailableError`, never waits.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise PoolUnavailableError(f"there is no pool at {self.path}") from exc
        try:
            self._lock(descriptor)
            yield
        finally:
            os.close(descriptor)

    def _lock(self, descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            message = f"another process is making, opening or closing the pool at {self.path}"
            raise PoolUnavailableError(message) from exc
