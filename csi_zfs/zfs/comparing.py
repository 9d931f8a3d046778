"""In what two snapshots of a zvol differ: what `zfs send` would send of the newer one.

The stream goes through a pipe, and its payloads are thrown away.  Raw: so nothing is decompressed
or decrypted for it, and no key is needed.
"""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from csi_zfs.datasets.api import DatasetKind, DatasetSnapshot, UnsupportedFeatureError
from csi_zfs.domain.model import ChangedRange
from csi_zfs.streams.records import StreamTruncatedError
from csi_zfs.streams.zvol_changes import zvol_changes
from csi_zfs.zfs.engine import Engine
from csi_zfs.zfs.lzc import SendFlag

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
    with (
        ThreadPoolExecutor(1, thread_name_prefix="send") as threads,
        # Closed before the thread is waited for: a call that nobody reads from ends by that.
        os.fdopen(reading, "rb", buffering=_BUFFER_BYTES) as source,
    ):
        sending = threads.submit(_send, engine, old.name, new.name, writing)
        try:
            yield from zvol_changes(source, new.size_bytes)
        except StreamTruncatedError:
            sending.result()  # why it ended
            raise
        sending.result()


def _send(engine: Engine, old_name: str, new_name: str, descriptor: int) -> None:
    home = engine.home
    try:
        with home.calling(new_name):
            home.core.send(home.full(new_name), home.full(old_name), descriptor, _ALL_FLAGS)
    finally:
        os.close(descriptor)
