"""In what two snapshots of a zvol differ: what `zfs send` would send of the newer one.

The stream goes through a pipe, and its payloads are thrown away.  Raw: so nothing is decompressed
or decrypted for it, and no key is needed.
"""

import os
import select
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import BufferedReader, RawIOBase
from typing import TYPE_CHECKING

from csi_zfs.datasets.api import DatasetKind, DatasetSnapshot, UnsupportedFeatureError
from csi_zfs.domain.model import ChangedRange
from csi_zfs.streams.records import StreamTruncatedError
from csi_zfs.streams.zvol_changes import zvol_changes
from csi_zfs.zfs.engine import Engine
from csi_zfs.zfs.lzc import SendFlag

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_ALL_FLAGS = frozenset(SendFlag)
_BUFFER_BYTES = 1 << 20


def changed_ranges(engine: Engine, old_name: str, new_name: str) -> Iterator[ChangedRange]:
    """See `SnapshotChanges`; the older one has to be an ancestor."""
    old, new = engine.objects.snapshot(old_name), engine.objects.snapshot(new_name)
    for snapshot in (old, new):
        if snapshot.kind is not DatasetKind.ZVOL:
            raise UnsupportedFeatureError(f"{snapshot.name} is a snapshot of a file system")
    return iter(()) if old.uid == new.uid else _sent(engine, old, new)


def _sent(engine: Engine, old: DatasetSnapshot, new: DatasetSnapshot) -> Iterator[ChangedRange]:
    reading, writing = os.pipe2(os.O_CLOEXEC)
    ended, ending = os.pipe2(os.O_CLOEXEC)
    with (
        ThreadPoolExecutor(1, thread_name_prefix="send") as threads,
        # Closed before the thread is waited for: a call that nobody reads from ends by that.
        BufferedReader(_Output(reading, ended), _BUFFER_BYTES) as source,
    ):
        sending = threads.submit(_send, engine, (old.name, new.name), writing, ending)
        try:
            yield from zvol_changes(source, new.size_bytes)
        except StreamTruncatedError:
            sending.result()  # why it ended
            raise
        sending.result()


def _send(engine: Engine, names: tuple[str, str], writing: int, ending: int) -> None:
    old_name, new_name = names
    home = engine.home
    try:
        with home.calling(new_name):
            home.core.send(home.full(new_name), home.full(old_name), writing, _ALL_FLAGS)
    finally:
        os.close(writing)
        os.close(ending)


class _Output(RawIOBase):
    """What a call writes into a pipe; it ends with the call.

    One that was given up because its pool is suspended keeps its end of the pipe open in the helper
    process, for as long as the pool is.
    """

    def __init__(self, reading: int, ended: int) -> None:
        """Read one pipe until it is closed, or the other one is and nothing is left."""
        self._reading = reading
        self._ended = ended

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        """Wait for some bytes; 0 at the end."""
        _readable(self._reading, self._ended)
        # A second look: its last bytes may have come between the looks at the one and the other.
        if _readable(self._reading, timeout_ms=0):
            return os.readv(self._reading, [buffer])
        return 0

    def close(self) -> None:
        """Let go of both pipes."""
        if not self.closed:
            super().close()
            os.close(self._reading)
            os.close(self._ended)


def _readable(*descriptors: int, timeout_ms: int | None = None) -> bool:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_ms))
