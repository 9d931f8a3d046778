"""Destroying datasets and snapshots: exactly one, by name and uid, never below or beside it."""

from csi_zfs.datasets.api import (
    Dataset,
    DatasetBusyError,
    DatasetKind,
    DatasetNotFoundError,
    DatasetSnapshot,
    HasDependentsError,
)
from csi_zfs.datasets.names import is_tombstone
from csi_zfs.zfs.closing import when_closed
from csi_zfs.zfs.engine import Engine
from csi_zfs.zfs.giving_back import giving_back, giving_back_with
from csi_zfs.zfs.records import DATASET_PROPERTY, SNAPSHOT_PROPERTY
from csi_zfs.zfs.retirement import empty


def destroy(engine: Engine, name: str, *, uid: str) -> None:
    """See `DatasetManager.destroy`."""
    dataset, record = _dataset_and_record(engine, name)
    _require_same(dataset, record, uid)

    def attempt() -> None:
        engine.home.change("destroy", name, property=DATASET_PROPERTY, record=record)

    try:
        with giving_back_with(engine, dataset.origin):
            when_closed(engine.clock, attempt)
    except HasDependentsError:
        if is_tombstone(name):
            empty(engine, dataset)
        raise
    engine.ledger.give_back(engine.claim_of(dataset))


def destroy_snapshot(engine: Engine, name: str, *, uid: str, is_deferred: bool) -> None:
    """See `DatasetManager.destroy_snapshot`."""
    snapshot, record = _snapshot_and_record(engine, name)
    _require_same(snapshot, record, uid)
    with giving_back(engine, name, engine.claim_of(snapshot)):
        try:
            engine.home.change(
                "destroy_snapshot",
                name,
                property=SNAPSHOT_PROPERTY,
                record=record,
                is_deferred=is_deferred,
            )
        except DatasetBusyError:
            if snapshot.kind is not DatasetKind.FILESYSTEM:
                raise
            _destroy_mounted_snapshot(engine, name, is_deferred=is_deferred)


def _destroy_mounted_snapshot(engine: Engine, name: str, *, is_deferred: bool) -> None:
    """Destroy a snapshot that the program has just found to be the right one, and busy.

    ZFS mounts a snapshot by itself, for five minutes, where somebody looks into `.zfs`.  The
    library's call unmounts it first, in the kernel's own mount namespace; a program cannot.
    """
    try:
        with engine.home.calling(name):
            engine.home.core.destroy_snapshots([engine.home.full(name)], is_deferred=is_deferred)
    except DatasetBusyError as exc:
        msg = f"{name} is in use: somebody has it open below .zfs/snapshot, or mounted it"
        raise DatasetBusyError(msg) from exc


def hold(engine: Engine, name: str, tag: str) -> None:
    """See `DatasetManager.hold`."""
    if tag not in engine.objects.snapshot(name).holds:
        with engine.home.calling(name):
            engine.home.core.hold(engine.home.full(name), tag)


def release(engine: Engine, name: str, tag: str) -> None:
    """See `DatasetManager.release`; the last release of a deferred snapshot destroys it."""
    if tag in engine.objects.snapshot(name).holds:
        with giving_back_with(engine, name), engine.home.calling(name):
            engine.home.core.release(engine.home.full(name), tag)


def _dataset_and_record(engine: Engine, name: str) -> tuple[Dataset, str]:
    read = engine.recent.take(name)
    if read is not None and read.record and isinstance(read.entry, Dataset):
        return read.entry, read.record
    return engine.objects.dataset_and_record(name)


def _snapshot_and_record(engine: Engine, name: str) -> tuple[DatasetSnapshot, str]:
    read = engine.recent.take(name)
    if read is not None and read.record and isinstance(read.entry, DatasetSnapshot):
        return read.entry, read.record
    return engine.objects.snapshot_and_record(name)


def _require_same(entry: Dataset | DatasetSnapshot, record: str, uid: str) -> None:
    if not record or entry.uid != uid:
        raise DatasetNotFoundError(f"{entry.name} is not {uid}: it is another one, {entry.uid}")
