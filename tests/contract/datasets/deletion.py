"""How a caller deletes volumes and snapshots in any order with the primitives of `DatasetManager`.

The services do the same; this is the shortest form of it, so that the suite proves the primitives
to be enough.
"""

from contextlib import suppress

from csi_zfs.datasets.api import (
    Dataset,
    DatasetExistsError,
    DatasetManager,
    DatasetSnapshot,
    HasDependentsError,
)
from csi_zfs.datasets.names import (
    deferred_snapshot_leaf,
    is_tombstone,
    snapshot_of,
    split_snapshot,
    tombstone_of,
)
from tests.contract.datasets.world import entries


def delete(manager: DatasetManager, uid: str) -> None:
    """Delete the volume or snapshot of this uid, wherever its name is by now."""
    [entry] = [entry for entry in entries(manager).values() if entry.uid == uid]
    if isinstance(entry, DatasetSnapshot):
        _delete_snapshot(manager, entry)
    else:
        _delete_volume(manager, entry)
    sweep_tombstones(manager)
    _promote_heirs(manager)


def _delete_volume(manager: DatasetManager, dataset: Dataset) -> None:
    try:
        manager.destroy(dataset.name, uid=dataset.uid)
    except HasDependentsError:
        manager.retire(dataset.name, tombstone_of(dataset.uid))


def _delete_snapshot(manager: DatasetManager, snapshot: DatasetSnapshot) -> None:
    try:
        manager.destroy_snapshot(snapshot.name, uid=snapshot.uid)
    except HasDependentsError:
        dataset_name, _ = split_snapshot(snapshot.name)
        hidden_name = snapshot_of(dataset_name, deferred_snapshot_leaf(snapshot.uid))
        manager.rename_snapshot(snapshot.name, hidden_name)
        manager.destroy_snapshot(hidden_name, uid=snapshot.uid, is_deferred=True)


def sweep_tombstones(manager: DatasetManager) -> None:
    """Destroy tombstones until none goes: each one may free the snapshot below it of another."""
    tombstones = [dataset for name, dataset in entries(manager).items() if is_tombstone(name)]
    destroyed = [tombstone for tombstone in tombstones if _is_destroyed(manager, tombstone)]
    if destroyed:
        sweep_tombstones(manager)


def _promote_heirs(manager: DatasetManager) -> None:
    """Free what only the heads of tombstones have, where no snapshot's name is in the way."""
    for name in [name for name in entries(manager) if is_tombstone(name)]:
        heir_name = manager.heir_of(name)
        if heir_name:
            with suppress(DatasetExistsError):
                manager.promote(heir_name, over=name)
                sweep_tombstones(manager)
                return


def _is_destroyed(manager: DatasetManager, tombstone: Dataset | DatasetSnapshot) -> bool:
    try:
        manager.destroy(tombstone.name, uid=tombstone.uid)
    except HasDependentsError:
        return False
    return True
