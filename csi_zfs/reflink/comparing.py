"""In what two snapshots differ, for who archives the newer one and has the older one already."""

import os
from collections.abc import Iterator

from csi_zfs.datasets.api import DatasetNotFoundError, DatasetSnapshot, RecordCorruptError
from csi_zfs.domain.model import ChangedRange
from csi_zfs.reflink.engine import Engine
from csi_zfs.reflink.extents import differing_ranges
from csi_zfs.system.opening import opened


def changed_ranges(engine: Engine, old_name: str, new_name: str) -> Iterator[ChangedRange]:
    """See `SnapshotChanges`; any two snapshots of the pool can be compared."""
    old, new = engine.objects.snapshot(old_name), engine.objects.snapshot(new_name)
    return _compared(engine, old, new)


def _compared(engine: Engine, old: DatasetSnapshot, new: DatasetSnapshot) -> Iterator[ChangedRange]:
    with (
        engine.root.working(old.name, new.name),
        opened(engine.image_of(old.name), os.O_RDONLY) as before,
        opened(engine.image_of(new.name), os.O_RDONLY) as after,
    ):
        _require_whole(before, old)
        _require_whole(after, new)
        yield from differing_ranges(before, old.size_bytes, after, new.size_bytes)
    # A destroy takes the name away first and the blocks afterwards: so they were there till now.
    for snapshot in (old, new):
        if engine.objects.snapshot(snapshot.name).uid != snapshot.uid:
            raise DatasetNotFoundError(f"{snapshot.name} was replaced while it was compared")


def _require_whole(descriptor: int, snapshot: DatasetSnapshot) -> None:
    if os.fstat(descriptor).st_size < snapshot.size_bytes:
        msg = f"the image of {snapshot.name} is shorter than {snapshot.size_bytes} bytes"
        raise RecordCorruptError(msg, name=snapshot.name)
