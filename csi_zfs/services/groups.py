"""Group snapshots: several volumes of one pool at one instant, or none."""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from csi_zfs.datasets import names
from csi_zfs.datasets.api import (
    DatasetExistsError,
    DatasetManager,
    DatasetNotFoundError,
    DatasetSnapshot,
    NewSnapshot,
)
from csi_zfs.domain.errors import (
    CorruptionError,
    IncompatibleError,
    InUseError,
    InvalidRequestError,
    NotFoundError,
)
from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.domain.model import GroupSnapshot
from csi_zfs.domain.parameters import refuse_parameters
from csi_zfs.services.catalogue import Catalogue, SnapshotNotFoundError
from csi_zfs.services.entries import SnapshotEntry, VolumeEntry, entry_of_snapshot, snapshot_of
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.pools import Pools, extents_of
from csi_zfs.services.quiescence import Quiescence
from csi_zfs.services.records import GroupMembership
from csi_zfs.services.snapshots import Snapshots, new_snapshot, taken_before
from csi_zfs.services.sources import snapshot_key

# What FICLONE was measured to take for one extent, with room for a slow disk; docs/performance.md
# has the table.
SECONDS_PER_EXTENT = 30e-6


class GroupNotFoundError(NotFoundError):
    """There is no such group snapshot."""


class DifferentGroupError(IncompatibleError):
    """The group of this name is of other volumes."""


class GroupMismatchError(InvalidRequestError):
    """The snapshot_ids of the request are not those of the group."""


class IncompleteGroupError(CorruptionError):
    """Members of the group are damaged or gone: restore single ones, or delete it."""


class UngroupableError(InUseError):
    """These volumes cannot be snapshotted at one instant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupSnapshots:
    """What the product does with group snapshots.  Thread-safe."""

    pools: Pools
    catalogue: Catalogue
    locks: KeyedLocks
    quiescence: Quiescence
    snapshots: Snapshots

    def create(
        self,
        *,
        group_snapshot_name: str,
        source_volume_ids: Sequence[VolumeId],
        parameters: Mapping[str, str],
    ) -> GroupSnapshot:
        """Snapshot all sources at one instant, or none; return the group that is there.

        Safe to repeat; durable.

        Raises:
            VolumeNotFoundError: a source does not exist.
            DifferentGroupError: the name is taken by a group of other volumes.
            IncompleteGroupError: it is taken by a group of which something is missing.
            UngroupableError: the sources are on several pools, or too fragmented to copy within the
                freeze limit.
            PoolFullError: they do not all fit.
        """
        refuse_parameters(parameters)
        leaf = names.leaf_of(group_snapshot_name)
        sources = sorted(set(source_volume_ids))
        datasets = [names.dataset_of(volume_id.leaf) for volume_id in sources]
        with self.locks.hold(exclusive=[snapshot_key(leaf)], shared=datasets):
            existing = self._existing(leaf)
            if existing:
                return self._same(existing[0], sources)
            return self._take(group_snapshot_name, leaf, self.catalogue.read_volumes(sources))

    def _existing(self, leaf: str) -> Sequence[GroupSnapshotId]:
        """The groups of this name, of which nothing has gone by hand."""
        for known in self.catalogue.groups_named(leaf):
            for member in self.catalogue.group_members(known):
                with suppress(SnapshotNotFoundError):
                    self.catalogue.read_snapshot(member.snapshot_id)
        return self.catalogue.groups_named(leaf)

    def _same(
        self, group_snapshot_id: GroupSnapshotId, sources: Sequence[VolumeId]
    ) -> GroupSnapshot:
        group = self._group(group_snapshot_id)
        if sorted(snapshot.source_volume_id for snapshot in group.snapshots) != sources:
            msg = f"group snapshot {group.group_snapshot_name[:128]!r} exists, of other volumes"
            raise DifferentGroupError(msg)
        return group

    def _take(
        self, group_snapshot_name: str, leaf: str, sources: Sequence[VolumeEntry]
    ) -> GroupSnapshot:
        pool = self._only_pool(sources)
        self._require_quick(pool, sources)
        group = GroupMembership(
            GroupSnapshotId(pool.pool_id, leaf, secrets.token_hex(8)),
            group_snapshot_name,
            len(sources),
        )
        new = [_new_member(group, source) for source in sources]
        taken = self._snapshot(pool, new, sources)
        entries = [entry_of_snapshot(pool, snapshot) for snapshot in taken]
        _require_all_of_one_group(entries, group_snapshot_name)
        self.catalogue.put_snapshots(entries)
        return _group_of(entries)

    def _snapshot(
        self, pool: DatasetManager, new: Sequence[NewSnapshot], sources: Sequence[VolumeEntry]
    ) -> Sequence[DatasetSnapshot]:
        try:
            return pool.snapshot(
                new, quiesced=self.quiescence.around(source.volume_id for source in sources)
            )
        except DatasetExistsError:
            return _taken_before(pool, new)

    def _only_pool(self, sources: Sequence[VolumeEntry]) -> DatasetManager:
        pools = {source.volume_id.pool_id for source in sources}
        if len(pools) != 1:
            msg = f"the volumes are on {len(pools)} pools; one instant exists only within a pool"
            raise UngroupableError(msg)
        return self.pools.get(pools.pop())

    def _require_quick(self, pool: DatasetManager, sources: Sequence[VolumeEntry]) -> None:
        extents = sum(extents_of(pool, source.dataset_name) for source in sources)
        estimate_s = extents * SECONDS_PER_EXTENT
        if estimate_s > self.quiescence.freeze_limit_s:
            msg = (
                f"the volumes lie in {extents} pieces: copying them would hold back writes for "
                f"about {estimate_s:.0f} s, "
                f"above the freeze limit of {self.quiescence.freeze_limit_s:g} s"
            )
            raise UngroupableError(msg)

    def delete(
        self, group_snapshot_id: GroupSnapshotId, snapshot_ids: Sequence[SnapshotId]
    ) -> None:
        """Delete the group and its snapshots; clones of them live on.  Safe to repeat.

        A missing one is no error.

        Raises `GroupMismatchError` if `snapshot_ids` leaves a member out, or names another group's
        snapshot.
        """
        members = self._members(group_snapshot_id)
        datasets = {member.dataset_name for member in members}
        with self.locks.hold(
            exclusive=[snapshot_key(group_snapshot_id.leaf), *_keys(members)], shared=datasets
        ):
            self._require_listed(members, snapshot_ids)
            destroyed = [(member, self.snapshots.destroy_held(member)) for member in members]
        for member, was_there in destroyed:
            self.snapshots.finish_delete(member, was_there=was_there)

    def get(
        self, group_snapshot_id: GroupSnapshotId, snapshot_ids: Sequence[SnapshotId]
    ) -> GroupSnapshot:
        """The group, as it was taken.

        Raises:
            GroupNotFoundError: it is proved not to exist.
            IncompleteGroupError: not all of its snapshots can be read.
            GroupMismatchError: `snapshot_ids` are not those of the group.
        """
        group = self._group(group_snapshot_id)
        self._require_listed(self._members(group_snapshot_id), snapshot_ids)
        return group

    def _group(self, group_snapshot_id: GroupSnapshotId) -> GroupSnapshot:
        members = self._members(group_snapshot_id)
        if not members:
            msg = f"group snapshot {group_snapshot_id} does not exist"
            raise GroupNotFoundError(msg)
        _require_complete(members)
        return _group_of(members)

    def _members(self, group_snapshot_id: GroupSnapshotId) -> list[SnapshotEntry]:
        members = self.catalogue.group_members(group_snapshot_id)
        if not members:
            self.pools.get(
                group_snapshot_id.pool_id
            ).capacity()  # raises where the pool is away: no proof of absence
        return members

    def _require_listed(
        self, members: Sequence[SnapshotEntry], snapshot_ids: Sequence[SnapshotId]
    ) -> None:
        """Compare with the caller's list, if there is one.

        Ids of members that are gone already are no mismatch.
        """
        if not snapshot_ids or not members:
            return
        present = {member.snapshot_id for member in members}
        strangers = [
            listed
            for listed in snapshot_ids
            if listed not in present and self.catalogue.knows(listed)
        ]
        left_out = sorted(present - set(snapshot_ids))
        if strangers or left_out:
            names_of_them = ", ".join(map(str, [*strangers, *left_out]))
            msg = f"snapshot_ids and the group differ in: {names_of_them}"
            raise GroupMismatchError(msg)


def _new_member(group: GroupMembership, source: VolumeEntry) -> NewSnapshot:
    # The slash keeps the leaf hashed, and the uid keeps it apart from other members.
    snapshot_name = f"{group.group_snapshot_name}/{source.volume_id.uid}"
    return new_snapshot(snapshot_name, names.leaf_of(snapshot_name), source, group)


def _taken_before(pool: DatasetManager, new: Sequence[NewSnapshot]) -> Sequence[DatasetSnapshot]:
    """The group that a call took whose answer was lost, if it was of the same volumes."""
    try:
        return [taken_before(pool, item.name) for item in new]
    except DatasetNotFoundError as exc:
        msg = "a group snapshot of this name exists, of other volumes"
        raise DifferentGroupError(msg) from exc


def _require_all_of_one_group(entries: Sequence[SnapshotEntry], group_snapshot_name: str) -> None:
    # Where the answer of a call was lost, and fewer volumes are asked for now.
    groups = {entry.record.group for entry in entries}
    group = groups.pop()
    if groups or group is None or group.size not in (None, len(entries)):
        msg = f"group snapshot {group_snapshot_name[:128]!r} exists, of other volumes"
        raise DifferentGroupError(msg)


def _require_complete(members: Sequence[SnapshotEntry]) -> None:
    group = members[0].record.group
    if group is not None and group.size not in (None, len(members)):
        msg = (
            f"{len(members)} of {group.size} snapshots of group {group.group_snapshot_id} are "
            "there and can be read: restore single ones, or delete the group"
        )
        raise IncompleteGroupError(msg)


def _keys(members: Sequence[SnapshotEntry]) -> list[str]:
    return [snapshot_key(member.snapshot_id.leaf) for member in members]


def _group_of(members: Sequence[SnapshotEntry]) -> GroupSnapshot:
    group = next(member.record.group for member in members if member.record.group)
    return GroupSnapshot(
        group_snapshot_id=group.group_snapshot_id,
        group_snapshot_name=group.group_snapshot_name,
        # In one order always: a repeated call answers the same.
        snapshots=tuple(map(snapshot_of, sorted(members, key=lambda member: member.snapshot_id))),
        created_ns=min(member.created_ns for member in members),
    )
