"""Snapshots of single volumes: create, delete, look up."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetManager,
    DatasetSnapshot,
    HasDependentsError,
    NewSnapshot,
)
from csi_zfs.domain.errors import IncompatibleError, InvalidRequestError
from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.domain.model import Page, Snapshot
from csi_zfs.domain.parameters import refuse_parameters
from csi_zfs.services import records
from csi_zfs.services.burial import Burial, destroy_deferred
from csi_zfs.services.catalogue import Catalogue, SnapshotNotFoundError
from csi_zfs.services.contents import PoolContents
from csi_zfs.services.entries import SnapshotEntry, VolumeEntry, entry_of_snapshot, snapshot_of
from csi_zfs.services.listing import check_token
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.pools import Pools, extents_of
from csi_zfs.services.quiescence import Quiescence
from csi_zfs.services.records import GroupMembership, SnapshotRecord
from csi_zfs.services.sources import require_unmoved, snapshot_key


class DifferentSnapshotError(IncompatibleError):
    """The snapshot of this name is of another volume."""


class GroupMemberError(InvalidRequestError):
    """The snapshot belongs to a group and goes only with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """What the product does with snapshots.  Thread-safe.

    `observe_extents` is told in how many pieces each source's data lies, which is what a copy
    costs.
    """

    pools: Pools
    catalogue: Catalogue
    locks: KeyedLocks
    burial: Burial
    quiescence: Quiescence
    observe_extents: Callable[[int], None]

    def create(
        self, *, snapshot_name: str, source_volume_id: VolumeId, parameters: Mapping[str, str]
    ) -> Snapshot:
        """Take a snapshot, or return the one that is there.

        Safe to repeat, with the same creation time; durable.

        Raises:
            VolumeNotFoundError: there is no such source.
            DifferentSnapshotError: the name is taken by a snapshot of another volume.
            PoolFullError: the pool has no room; nothing was made.
        """
        refuse_parameters(parameters)
        leaf = names.leaf_of(snapshot_name)
        dataset_name = names.dataset_of(source_volume_id.leaf)
        with self.locks.hold(exclusive=[snapshot_key(leaf)], shared=[dataset_name]):
            entry = self.catalogue.read_snapshot_named(leaf) or self._take(
                snapshot_name, leaf, source_volume_id
            )
            if entry.record.source_volume_id != source_volume_id or entry.record.group:
                msg = (
                    f"snapshot {snapshot_name[:128]!r} exists, of volume "
                    f"{entry.record.source_volume_id}"
                )
                raise DifferentSnapshotError(msg)
            return snapshot_of(entry)

    def _take(self, snapshot_name: str, leaf: str, source_volume_id: VolumeId) -> SnapshotEntry:
        # From the pool: what the record says of the format decides about mkfs in every copy.
        source = self.catalogue.read_volume(source_volume_id)
        pool = self.pools.get(source_volume_id.pool_id)
        new = new_snapshot(snapshot_name, leaf, source)
        self.observe_extents(extents_of(pool, source.dataset_name))
        try:
            snapshot = pool.snapshot([new], quiesced=self.quiescence.around([source.volume_id]))[0]
        except DatasetExistsError:
            snapshot = taken_before(pool, new.name)
        entry = entry_of_snapshot(pool, snapshot)
        self.catalogue.put_snapshots([entry])
        return entry

    def delete(self, snapshot_id: SnapshotId) -> None:
        """Delete the snapshot; clones of it live on.  Safe to repeat: a missing one is no error.

        Raises:
            GroupMemberError: it belongs to a group (CSI: it cannot be deleted alone).
            SnapshotHeldError: a hold keeps it.
            SourceMovedError: its volume was deleted in this very moment.
        """
        try:
            entry = self.catalogue.snapshot(snapshot_id)
        except SnapshotNotFoundError:
            return
        if entry.record.group:
            msg = (
                f"snapshot {snapshot_id} belongs to group {entry.record.group.group_snapshot_id}: "
                "delete the group"
            )
            raise GroupMemberError(msg)
        with self.locks.hold(
            exclusive=[snapshot_key(snapshot_id.leaf)], shared=[entry.dataset_name]
        ):
            was_there = self.destroy_held(entry)
        self.finish_delete(entry, was_there=was_there)

    def destroy_held(self, entry: SnapshotEntry) -> bool:
        """Destroy a snapshot for a caller who holds its lock and that of `entry.dataset_name`.

        Returns whether it was there, for `finish_delete`; raises as `delete`.
        """
        try:
            found = self.catalogue.read_snapshot(entry.snapshot_id)
        except SnapshotNotFoundError:
            return False
        require_unmoved(entry, found)
        _destroy(self.pools.get(entry.snapshot_id.pool_id), found)
        return True

    def finish_delete(self, entry: SnapshotEntry, *, was_there: bool) -> None:
        """Bury what the snapshot has kept; the caller holds no lock of its dataset any more."""
        pool = self.pools.get(entry.snapshot_id.pool_id)
        if was_there:
            self.burial.bury(pool, entry.dataset_name)
        else:  # it went by a call that was cut short, or by hand
            self.burial.finish_deletes(PoolContents.of(pool))
        # Last, so that a repetition knows that there may be something left to finish.
        self.catalogue.forget_snapshot(entry.snapshot_id)

    def get(self, snapshot_id: SnapshotId) -> Snapshot:
        """The snapshot; raises `SnapshotNotFoundError`, `PoolUnavailableError`."""
        return snapshot_of(self.catalogue.snapshot(snapshot_id))

    def list(
        self,
        *,
        max_entries: int,
        starting_token: str,
        source_volume_id: VolumeId | None,
        snapshot_id: SnapshotId | None,
    ) -> Page[Snapshot]:
        """One page of all snapshots, of one volume's, or the one of an id.

        Raises:
            BadTokenError: the token is none of ours.
            PoolAwayError: some may be on a pool that could not be opened.
            PoolNotServedError: those asked for are on a pool that is not one of these.
        """
        after = check_token(starting_token, SnapshotId)
        if snapshot_id is not None:
            return self._only(snapshot_id, source_volume_id)
        if source_volume_id is None:
            self.pools.require_all()
        else:
            self.pools.get(source_volume_id.pool_id)
        entries, token = self.catalogue.snapshot_page(
            after=after, max_entries=max_entries, source_volume_id=source_volume_id
        )
        return Page(tuple(map(snapshot_of, entries)), token)

    def _only(self, snapshot_id: SnapshotId, source_volume_id: VolumeId | None) -> Page[Snapshot]:
        try:
            snapshot = self.get(snapshot_id)
        except SnapshotNotFoundError:
            return Page(())
        is_asked_for = source_volume_id in (None, snapshot.source_volume_id)
        return Page((snapshot,) if is_asked_for else ())


def new_snapshot(
    snapshot_name: str, leaf: str, source: VolumeEntry, group: GroupMembership | None = None
) -> NewSnapshot:
    """What to ask of the pool for a snapshot of `source`."""
    origin = source.record
    record = SnapshotRecord(snapshot_name, source.volume_id, origin.disk, group, origin.salt)
    return NewSnapshot(
        names.snapshot_of(source.dataset_name, leaf), records.format_snapshot(record)
    )


def taken_before(pool: DatasetManager, name: str) -> DatasetSnapshot:
    """What a call took whose answer was lost; raises `DatasetExistsError` for one made by hand."""
    snapshot = pool.get_snapshot(name)
    if not records.is_our_snapshot(snapshot.user_properties):
        msg = f"{name} exists on pool {pool.pool_name}, and was not made by this driver"
        raise DatasetExistsError(msg)
    return snapshot


def _destroy(pool: DatasetManager, entry: SnapshotEntry) -> None:
    uid = entry.snapshot_id.uid
    try:
        pool.destroy_snapshot(entry.name, uid=uid)
    except HasDependentsError:
        hidden = names.snapshot_of(entry.dataset_name, names.deferred_snapshot_leaf(uid))
        destroy_deferred(pool, pool.rename_snapshot(entry.name, hidden))
