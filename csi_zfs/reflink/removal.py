"""Destroying datasets and snapshots: exactly one, by name and uid, never below or beside it."""

import os
from pathlib import Path

from csi_zfs.datasets.admission import Claim
from csi_zfs.datasets.api import (
    Dataset,
    DatasetNotFoundError,
    DatasetSnapshot,
    HasDependentsError,
    SnapshotHeldError,
)
from csi_zfs.datasets.names import InvalidNameError, is_tombstone
from csi_zfs.reflink.engine import Engine
from csi_zfs.reflink.kernel import held_alone
from csi_zfs.reflink.layout import IMAGE


def destroy(engine: Engine, name: str, *, uid: str) -> None:
    """See `DatasetManager.destroy`."""
    dataset = engine.objects.dataset(name)
    _require_uid(dataset, uid)
    try:
        _remove(engine, dataset)
    except HasDependentsError:
        if is_tombstone(name) and os.path.lexists(engine.image_of(name)):
            _drop_image(engine, dataset)
        raise


def remove_snapshot(engine: Engine, snapshot: DatasetSnapshot) -> None:
    """Destroy a snapshot, as it was read; raises `SnapshotHeldError`."""
    if snapshot.holds:
        raise SnapshotHeldError(f"{snapshot.name} is held: {', '.join(sorted(snapshot.holds))}")
    _remove(engine, snapshot)


def snapshot_to_destroy(engine: Engine, name: str, *, uid: str) -> DatasetSnapshot:
    """The snapshot of exactly this name and uid; raises `DatasetNotFoundError`."""
    snapshot = engine.objects.snapshot(name)
    _require_uid(snapshot, uid)
    return snapshot


def retire(engine: Engine, name: str, new_name: str) -> Dataset:
    """See `DatasetManager.retire`; an open image refuses it (`DatasetBusyError`)."""
    if not is_tombstone(new_name):
        raise InvalidNameError(f"{new_name[:128]!r} is not the name of a tombstone")
    engine.root.require_present()
    if os.path.lexists(engine.layout.dataset(name)):
        engine.objects.dataset(name)
        with engine.root.working(name), held_alone(engine.image_of(name), engine.clock):
            engine.namespace.rename(name, new_name)
    dataset = engine.objects.dataset(new_name)
    _drop_image(engine, dataset)
    return dataset


def _remove(engine: Engine, entry: Dataset | DatasetSnapshot) -> None:
    image = engine.image_of(entry.name)
    with engine.root.working(entry.name):
        with held_alone(image, engine.clock):
            has_data = os.path.lexists(image)
            directory = engine.namespace.withdraw(entry.name, entry.uid)
        if has_data:  # a tombstone gave its claim back before
            _free_promised_blocks(engine, directory / IMAGE, entry)
            engine.ledger.give_back(Claim.of(entry))
        engine.workshop.take_apart(directory)


def _drop_image(engine: Engine, dataset: Dataset) -> None:
    image = engine.layout.dataset(dataset.name) / IMAGE
    with engine.root.working(dataset.name):
        with held_alone(image, engine.clock):
            has_data = os.path.lexists(image)
        if has_data:
            # After the lease: it would hold up this process too.
            _free_promised_blocks(engine, image, dataset)
            engine.files.unlink(image)
            engine.ledger.give_back(Claim.of(dataset))
        engine.files.sync(image.parent)


def _free_promised_blocks(engine: Engine, image: Path, entry: Dataset | DatasetSnapshot) -> None:
    # XFS frees the blocks of an unlinked file in the background, those of a truncated one at once;
    # a thick volume that takes the place of this one must find them (rules.md B10).  Thin images
    # can lie in very many pieces, for which nobody should wait.
    if entry.is_thick:
        engine.files.resize(image, 0)


def _require_uid(entry: Dataset | DatasetSnapshot, uid: str) -> None:
    if entry.uid != uid:
        raise DatasetNotFoundError(f"{entry.name} is not {uid}: it is another one, {entry.uid}")
