"""The real helper process with a library of our own: `python -m tests.support.lzc_worker <fd>`.

What a call does is in the last part of the name that it is given.
"""

import errno
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.zfs.lzc import Arguments, LibzfsCore, LzcError, Properties, SendFlag
from csi_zfs.zfs.worker import run

COMMAND = (sys.executable, "-m", "tests.support.lzc_worker")
CANARY = b"a canary of a key"


class FakeLibzfsCore:
    """Some of `LibzfsCore`'s calls."""

    def __init__(self) -> None:
        """Two calls of `meet` meet each other."""
        self._meeting = threading.Barrier(2, timeout=10)

    def create(
        self, name: str, kind: DatasetKind, properties: Properties, *, key: bytes = b""
    ) -> None:
        """Write into one FIFO, and wait until somebody writes into the other."""
        if kind is not DatasetKind.ZVOL or key not in {b"", CANARY}:
            raise TypeError(kind)
        Path(str(properties["begins"])).write_bytes(b"")
        Path(str(properties["goes_on"])).read_bytes()

    def destroy(self, name: str) -> None:
        """Do what the name says."""
        match name.rpartition("/")[2]:
            case "die":
                os._exit(7)
            case "break":
                raise RuntimeError(CANARY.decode())
            case "meet":
                self._meeting.wait()

    def destroy_snapshots(self, names: list[str], *, is_deferred: bool = False) -> None:
        """Refuse."""
        raise LzcError(
            "destroy_snapshots",
            errno.EBUSY,
            names,
            errno_of={names[0]: errno.EBUSY},
            detail=f"deferred: {is_deferred}",
        )

    def holds(self, name: str) -> Mapping[str, int]:
        """The identity of this process."""
        return {"pid": os.getpid()}

    def send(
        self, snapshot_name: str, from_name: str, descriptor: int, flags: frozenset[SendFlag]
    ) -> None:
        """Write the arguments."""
        os.write(descriptor, f"{snapshot_name} {from_name} {','.join(flags)}".encode())

    def read_program(self, pool_name: str, source: str, arguments: Arguments, **_: int) -> object:
        """Give the arguments back."""
        return dict(arguments)


def make_core() -> LibzfsCore:
    """The fake, as the worker takes it."""
    core: Any = FakeLibzfsCore()
    made: LibzfsCore = core
    return made


if __name__ == "__main__":
    run(make_core, int(sys.argv[1]))
