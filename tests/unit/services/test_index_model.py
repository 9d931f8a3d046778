"""The index against a plain model: what was put is found, what was forgotten is not."""

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.ids import GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.services.entries import SnapshotEntry, VolumeEntry
from csi_zfs.services.index import Index
from csi_zfs.services.records import DiskFormat, GroupMembership, SnapshotRecord, VolumeRecord

POOL_IDS = ("00000000000000fa", "00000000000000fb")
DISK = DiskFormat(AccessType.BLOCK)

pool_ids = st.sampled_from(POOL_IDS)
leaves = st.sampled_from(["a", "b", "h-1"])
uids = st.sampled_from([f"{number:016x}" for number in range(3)])
dataset_names = st.sampled_from(["v/a", "v/b", "v/D-1", "v/D-2"])
volume_ids = st.builds(VolumeId, pool_ids, leaves, uids)
snapshot_ids = st.builds(SnapshotId, pool_ids, leaves, uids)
groups = st.none() | st.builds(
    GroupMembership, st.builds(GroupSnapshotId, pool_ids, leaves, uids), st.just("group")
)


def volume_entry(volume_id: VolumeId, size_bytes: int) -> VolumeEntry:
    record = VolumeRecord(volume_id.leaf, DISK)
    return VolumeEntry(volume_id, size_bytes, is_thick=False, origin="", record=record)


def snapshot_entry(
    snapshot_id: SnapshotId, source: VolumeId, group: GroupMembership | None
) -> SnapshotEntry:
    record = SnapshotRecord(snapshot_id.leaf, source, DISK, group)
    return SnapshotEntry(snapshot_id, f"v/{source.leaf}", 1, 0, record)


class IndexMachine(RuleBasedStateMachine):
    """Two dictionaries say what the index knows."""

    def __init__(self) -> None:
        super().__init__()
        self.index = Index()
        self.volumes: dict[VolumeId, VolumeEntry] = {}
        self.snapshots: dict[SnapshotId, SnapshotEntry] = {}

    @rule(volume_id=volume_ids, size_bytes=st.integers(1, 9))
    def put_volume(self, volume_id: VolumeId, size_bytes: int) -> None:
        self.volumes[volume_id] = volume_entry(volume_id, size_bytes)
        self.index.put_volume(self.volumes[volume_id])

    @rule(volume_id=volume_ids)
    def forget_volume(self, volume_id: VolumeId) -> None:
        self.volumes.pop(volume_id, None)
        self.index.forget_volume(volume_id)

    @rule(snapshot_id=snapshot_ids, source=volume_ids, group=groups)
    def put_snapshot(
        self, snapshot_id: SnapshotId, source: VolumeId, group: GroupMembership | None
    ) -> None:
        # A snapshot never changes its volume or its group: one that is known keeps them.
        known = self.snapshots.get(snapshot_id) or snapshot_entry(snapshot_id, source, group)
        self.snapshots[snapshot_id] = known
        self.index.put_snapshots([known])

    @rule(snapshot_id=snapshot_ids)
    def forget_snapshot(self, snapshot_id: SnapshotId) -> None:
        self.snapshots.pop(snapshot_id, None)
        self.index.forget_snapshot(snapshot_id)

    @rule(pool_id=pool_ids, dataset_name=dataset_names, new_name=dataset_names)
    def move_snapshots(self, pool_id: str, dataset_name: str, new_name: str) -> None:
        for snapshot_id, entry in self.snapshots.items():
            if (snapshot_id.pool_id, entry.dataset_name) == (pool_id, dataset_name):
                self.snapshots[snapshot_id] = replace(entry, dataset_name=new_name)
        self.index.move_snapshots(pool_id, dataset_name, new_name)

    @invariant()
    def knows_the_volumes(self) -> None:
        known, _ = self.index.volume_page(after="", max_entries=0)
        assert known == [self.volumes[key] for key in sorted(self.volumes, key=str)]
        assert all(self.index.knows(entry.volume_id) for entry in known)
        for leaf in ("a", "b", "h-1"):
            named = [entry for entry in known if entry.volume_id.leaf == leaf]
            assert self.index.volumes_named(leaf) == named

    @invariant()
    def knows_the_snapshots(self) -> None:
        known, _ = self.index.snapshot_page(after="", max_entries=0, source_volume_id=None)
        assert known == [self.snapshots[key] for key in sorted(self.snapshots, key=str)]
        assert all(self.index.knows(entry.snapshot_id) for entry in known)
        for leaf in ("a", "b", "h-1"):
            named = [entry for entry in known if entry.snapshot_id.leaf == leaf]
            assert self.index.snapshots_named(leaf) == named

    @invariant()
    def knows_whose_the_snapshots_are(self) -> None:
        entries = sorted(self.snapshots.values(), key=lambda entry: str(entry.snapshot_id))
        for source in {entry.record.source_volume_id for entry in entries}:
            own = [entry for entry in entries if entry.record.source_volume_id == source]
            assert self.index.snapshots_of(source) == own
            assert self.index.snapshot_page(after="", max_entries=0, source_volume_id=source) == (
                own,
                "",
            )

    @invariant()
    def knows_the_groups(self) -> None:
        members: dict[GroupSnapshotId, list[SnapshotEntry]] = {}
        for entry in sorted(self.snapshots.values(), key=lambda entry: str(entry.snapshot_id)):
            if entry.record.group:
                members.setdefault(entry.record.group.group_snapshot_id, []).append(entry)
        for group_snapshot_id, entries in members.items():
            assert self.index.group_members(group_snapshot_id) == entries
        for leaf in ("a", "b", "h-1"):
            named = sorted((key for key in members if key.leaf == leaf), key=str)
            assert self.index.groups_named(leaf) == named

    @invariant()
    def counts_each_pool(self) -> None:
        for pool_id in POOL_IDS:
            assert self.index.counts(pool_id) == (
                sum(key.pool_id == pool_id for key in self.volumes),
                sum(key.pool_id == pool_id for key in self.snapshots),
            )

    def teardown(self) -> None:
        """Forget everything: an index that keeps something leaks memory with each volume."""
        for volume_id in self.volumes:
            self.index.forget_volume(volume_id)
        for snapshot_id in self.snapshots:
            self.index.forget_snapshot(snapshot_id)
        indexes = {
            name: index for name, index in vars(self.index).items() if hasattr(index, "__len__")
        }
        assert {name: len(index) for name, index in indexes.items() if len(index)} == {}


TestIndex = IndexMachine.TestCase
TestIndex.settings = settings(max_examples=50, stateful_step_count=30)
