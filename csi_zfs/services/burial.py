"""The end of deleted things whose snapshots or clones lived on.

A deleted volume with dependents is a tombstone; a deleted snapshot with clones is renamed and
destroyed deferred.  Each delete ends by looking one step up: the tombstone that lost its last
dependent goes, and so on up the chain.
"""

import logging

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    DatasetBusyError,
    DatasetManager,
    DatasetNotFoundError,
    DatasetSnapshot,
    HasDependentsError,
    RecordCorruptError,
)
from csi_zfs.services.contents import PoolContents

log = logging.getLogger(__name__)


def bury(pool: DatasetManager, dataset_name: str) -> None:
    """Destroy the dataset if it is a tombstone that nobody needs; then its origin likewise.

    Safe to repeat and to run twice at once: whoever comes second finds nothing to do.
    """
    while names.is_tombstone(dataset_name):
        try:
            tombstone = pool.get(dataset_name)
            pool.destroy(dataset_name, uid=tombstone.uid)
        except (DatasetNotFoundError, HasDependentsError):
            return
        except RecordCorruptError as exc:
            log.warning("deleted volume %s stays for now: %s", dataset_name, exc)
            return
        dataset_name = names.split_snapshot(tombstone.origin)[0]


def bury_origin(pool: DatasetManager, origin: str) -> None:
    """Look at the dataset above a clone that was just destroyed.

    `origin` is empty for independent ones.
    """
    if origin:
        bury(pool, names.split_snapshot(origin)[0])


def finish_deletes(contents: PoolContents) -> None:
    """Do what a crash left undone on the pool that holds this.

    Deferred destroys of renamed snapshots, and tombstones that nobody needs.  Raises
    `DatasetBusyError` if somebody has one of those open; by then all others are done.
    """
    for snapshot in contents.readable_snapshots():
        if names.is_deferred_snapshot(snapshot.name) and not snapshot.is_deferred:
            destroy_deferred(contents.pool, snapshot)
    busy: list[DatasetBusyError] = []
    for dataset in contents.readable_datasets():
        try:
            bury(contents.pool, dataset.name)
        except DatasetBusyError as exc:
            busy.append(exc)
    if busy:
        raise busy[0]


def destroy_deferred(pool: DatasetManager, snapshot: DatasetSnapshot) -> None:
    """Destroy a snapshot once nothing needs it; one that is gone already is no error."""
    try:
        pool.destroy_snapshot(snapshot.name, uid=snapshot.uid, is_deferred=True)
    except DatasetNotFoundError:
        log.debug("snapshot %s went by itself", snapshot.name)
