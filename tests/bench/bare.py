"""The side effects of the embedded pool, done by a bare loop of system calls.

The same directories, files, syncs and renames in the same order as csi_zfs/reflink makes them
(tests/unit/bench/test_bare.py holds the two together), on the same file system; no check, no lock,
no record kept in memory, no gRPC.
"""

# ruff: noqa: PTH102, PTH104, PTH106, PTH108, PTH120 - as little around the system calls as can be

import fcntl
import itertools
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from csi_zfs.domain.sizes import MIB
from tests.bench.figures import Batch

_FICLONE = 0x40049409
# As long as the record of a small volume.
RECORD = b"r" * 640


class BareLoop:
    """Volumes and snapshots as files below one directory.  Thread-safe."""

    def __init__(self, root: Path) -> None:
        """Make the directory, which must not be there."""
        self._root = str(root)
        self._numbers = itertools.count()
        for path in (root, root / "v", root / "t"):
            path.mkdir()

    def create(self, name: str) -> None:
        """Make an empty volume."""
        made = f"{self._root}/t/{next(self._numbers)}"
        os.mkdir(made, 0o700)
        image = os.open(f"{made}/image", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.ftruncate(image, MIB)
        os.close(image)
        self._finish(made, f"{self._root}/v/{name}")

    def snapshot(self, volume: str, name: str) -> None:
        """Take a snapshot of a volume."""
        self._copy(f"{self._root}/v/{volume}", f"{self._root}/v/{volume}/@{name}")

    def clone_snapshot(self, volume: str, snapshot: str, name: str) -> None:
        """Make a volume from a snapshot of one."""
        self._copy(f"{self._root}/v/{volume}/@{snapshot}", f"{self._root}/v/{name}")

    def clone_volume(self, volume: str, name: str) -> None:
        """Make a volume from a volume."""
        self._copy(f"{self._root}/v/{volume}", f"{self._root}/v/{name}")

    def delete(self, volume: str) -> None:
        """Delete a volume."""
        self._take_apart(f"{self._root}/v/{volume}")

    def delete_snapshot(self, volume: str, snapshot: str) -> None:
        """Delete a snapshot of a volume."""
        self._take_apart(f"{self._root}/v/{volume}/@{snapshot}")

    def _copy(self, source: str, path: str) -> None:
        made = f"{self._root}/t/{next(self._numbers)}"
        os.mkdir(made, 0o700)
        origin = os.open(f"{source}/image", os.O_RDONLY)
        image = os.open(f"{made}/image", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.ioctl(image, _FICLONE, origin)
        os.close(image)
        os.close(origin)
        self._finish(made, path)

    def _finish(self, made: str, path: str) -> None:
        record = os.open(f"{made}/record.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        os.write(record, RECORD)
        os.fsync(record)
        os.close(record)
        os.rename(made, path)
        _sync(os.path.dirname(path))

    def _take_apart(self, path: str) -> None:
        taken = f"{self._root}/t/{next(self._numbers)}"
        os.rename(path, taken)
        _sync(os.path.dirname(path))
        os.unlink(f"{taken}/image")
        os.unlink(f"{taken}/record.json")
        os.rmdir(taken)


def timed(steps: Iterable[Callable[[], None]]) -> Batch:
    """Do the steps one after the other."""
    latencies_ns = []
    for step in steps:
        begin_ns = time.perf_counter_ns()
        step()
        latencies_ns.append(time.perf_counter_ns() - begin_ns)
    return Batch.in_turn(latencies_ns)


def _sync(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
