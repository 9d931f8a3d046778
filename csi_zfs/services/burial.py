"""The end of deleted things whose snapshots or clones lived on.

A deleted volume with dependents is a tombstone; a deleted snapshot with clones is renamed and
destroyed deferred.  Each delete ends by looking one step up: the tombstone that lost its last
dependent goes, and so on up the chain.  One that has to stay for its snapshots, and keeps data that
none of them has, gives them to a clone and goes.
"""

import logging
from dataclasses import dataclass

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    Dataset,
    DatasetBusyError,
    DatasetExistsError,
    DatasetManager,
    DatasetNotFoundError,
    DatasetSnapshot,
    HasDependentsError,
    PoolFullError,
    PoolUnavailableError,
    RecordCorruptError,
)
from csi_zfs.domain.errors import OperationPendingError
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.contents import PoolContents
from csi_zfs.services.locks import KeyedLocks

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Burial:
    """Destroys what is deleted as soon as that is possible.  Thread-safe."""

    catalogue: Catalogue
    locks: KeyedLocks

    def bury(self, pool: DatasetManager, dataset_name: str) -> None:
        """Destroy the dataset if it is a tombstone that nobody needs; then its origin likewise.

        Safe to repeat and to run twice at once: whoever comes second finds nothing to do.  The
        caller holds no lock of the dataset.
        """
        while names.is_tombstone(dataset_name):
            try:
                tombstone = pool.get(dataset_name)
                self._destroy(pool, tombstone)
            except (DatasetNotFoundError, HasDependentsError):
                return
            except RecordCorruptError as exc:
                log.warning("deleted volume %s stays for now: %s", dataset_name, exc)
                return
            dataset_name = names.split_snapshot(tombstone.origin)[0]

    def bury_origin(self, pool: DatasetManager, origin: str) -> None:
        """Look at the dataset above a clone that was just destroyed.

        `origin` is empty for independent ones.
        """
        if origin:
            self.bury(pool, names.split_snapshot(origin)[0])

    def finish_deletes(self, contents: PoolContents) -> None:
        """Do what a crash left undone on the pool that holds this.

        Deferred destroys of renamed snapshots, and tombstones that nobody needs.  Raises
        `DatasetBusyError` if somebody has one of those open, `PoolUnavailableError` if one cannot
        be read; by then all others are done.
        """
        for snapshot in contents.readable_snapshots():
            if names.is_deferred_snapshot(snapshot.name) and not snapshot.is_deferred:
                destroy_deferred(contents.pool, snapshot)
        failures: list[DatasetBusyError | PoolUnavailableError] = []
        for dataset in contents.readable_datasets():
            try:
                self.bury(contents.pool, dataset.name)
            except (DatasetBusyError, PoolUnavailableError) as exc:
                failures.append(exc)
        if failures:
            raise failures[0]

    def _destroy(self, pool: DatasetManager, tombstone: Dataset) -> None:
        try:
            pool.destroy(tombstone.name, uid=tombstone.uid)
        except HasDependentsError:
            if not self._gave_snapshots_away(pool, tombstone.name):
                raise
            pool.destroy(tombstone.name, uid=tombstone.uid)

    def _gave_snapshots_away(self, pool: DatasetManager, tombstone_name: str) -> bool:
        """Whether a clone has all of the tombstone's snapshots now.

        It stays as it is where that frees nothing or cannot be done now: the next delete in its
        family, or the next start, tries again.
        """
        heir = pool.heir_of(tombstone_name)
        if not heir:
            return False
        try:
            # Who restores or deletes one of these snapshots knows it by the tombstone's name.
            with self.locks.hold(exclusive=[tombstone_name]):
                pool.promote(heir, over=tombstone_name)
                self.catalogue.move_snapshots(pool.pool_id, tombstone_name, heir)
        except (DatasetExistsError, DatasetBusyError, PoolFullError, OperationPendingError) as exc:
            log.info("%s is not promoted over %s: %s", heir, tombstone_name, exc)
            return False
        return True


def destroy_deferred(pool: DatasetManager, snapshot: DatasetSnapshot) -> None:
    """Destroy a snapshot once nothing needs it; one that is gone already is no error."""
    try:
        pool.destroy_snapshot(snapshot.name, uid=snapshot.uid, is_deferred=True)
    except DatasetNotFoundError:
        log.debug("snapshot %s went by itself", snapshot.name)
