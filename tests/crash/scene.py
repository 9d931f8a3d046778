"""A fake node with volumes on it, called by their names: what workflows are written in.

A crash takes the answer of a call away, and its caller knows no id then; so the verbs that undo
look for the id where a caller would, in the listings of the driver.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.domain.capabilities import AccessType, VolumeCapability
from csi_zfs.domain.ids import EphemeralId, GroupSnapshotId, SnapshotId, VolumeId
from csi_zfs.domain.model import ContentSource, GroupSnapshot, Snapshot, Volume
from csi_zfs.domain.sizes import CapacityRange
from csi_zfs.services.node_state import NodeState
from tests.crash.points import CrashPoints
from tests.support import builders
from tests.support.builders import EPHEMERAL_ID, SIZE_BYTES, mount_capability
from tests.support.files import CrashError
from tests.support.node import FakeNode
from tests.support.pool_core import no_effects

LARGER_BYTES = 2 * SIZE_BYTES


class Scene:
    """A node, and the ids of what was made on it by name."""

    def __init__(self, node: FakeNode) -> None:
        """Begin with nothing made but the directories that the kubelet makes."""
        self.node = node
        for directory in (*(f"plugins/pvc-{number}" for number in range(1, 5)), "pods/pod-1"):
            (node.kubelet_dir / directory).mkdir(parents=True)
        self.volume_ids: dict[str, VolumeId] = {}
        self.snapshot_ids: dict[str, SnapshotId] = {}
        self.group_ids: dict[str, GroupSnapshotId] = {}
        self.capabilities: dict[str, VolumeCapability] = {}

    # --- volumes ---

    def create(
        self,
        name: str,
        capability: VolumeCapability | None = None,
        *,
        size_bytes: int = SIZE_BYTES,
        source: ContentSource | None = None,
    ) -> Volume:
        """Make a volume; ext4 unless told otherwise."""
        self.capabilities[name] = capability or mount_capability()
        spec = builders.volume_spec(
            name,
            size_bytes=size_bytes,
            capability=self.capabilities[name],
            content_source=source,
        )
        volume = self.node.volumes.create(spec)
        self.volume_ids[name] = volume.volume_id
        return volume

    def restore(self, name: str, snapshot_name: str, *, size_bytes: int = SIZE_BYTES) -> Volume:
        """Make a volume from a snapshot."""
        source = self.snapshot_ids[snapshot_name]
        return self.create(name, size_bytes=size_bytes, source=source)

    def clone(self, name: str, source_name: str) -> Volume:
        """Make a volume from a volume."""
        return self.create(
            name, self.capabilities[source_name], source=self.volume_ids[source_name]
        )

    def delete(self, name: str) -> None:
        """Delete a volume by the id that its making answered with."""
        self.node.volumes.delete(self.volume_ids[name])

    def delete_found(self, name: str) -> None:
        """Delete what the driver lists under this name, if it does."""
        for volume in self.node.volumes.list(max_entries=0, starting_token="").entries:
            if volume.volume_name == name:
                self.node.volumes.delete(volume.volume_id)

    def expand(self, name: str) -> object:
        """The controller's part of an expansion."""
        return self.node.volumes.expand(self.volume_ids[name], CapacityRange(LARGER_BYTES))

    # --- snapshots ---

    def snapshot(self, name: str, volume_name: str) -> Snapshot:
        """Take a snapshot."""
        snapshot = self.node.snapshots.create(
            snapshot_name=name, source_volume_id=self.volume_ids[volume_name], parameters={}
        )
        self.snapshot_ids[name] = snapshot.snapshot_id
        return snapshot

    def delete_snapshot(self, name: str) -> None:
        """Delete a snapshot by the id that its taking answered with."""
        self.node.snapshots.delete(self.snapshot_ids[name])

    def delete_found_snapshot(self, name: str) -> None:
        """Delete what the driver lists under this name, if it does."""
        for snapshot in self._listed_snapshots():
            if snapshot.snapshot_name == name:
                self.node.snapshots.delete(snapshot.snapshot_id)

    def group(self, name: str, *volume_names: str) -> GroupSnapshot:
        """Take a group snapshot."""
        group = self.node.services.groups.create(
            group_snapshot_name=name,
            source_volume_ids=[self.volume_ids[volume] for volume in volume_names],
            parameters={},
        )
        self.group_ids[name] = group.group_snapshot_id
        return group

    def delete_group(self, name: str) -> None:
        """Delete a group snapshot by the id that its taking answered with."""
        self.node.services.groups.delete(self.group_ids[name], ())

    def delete_found_groups(self) -> None:
        """Delete the groups whose members the driver lists."""
        found = {snapshot.group_snapshot_id for snapshot in self._listed_snapshots()}
        for group_id in found - {None}:
            assert group_id is not None
            self.node.services.groups.delete(group_id, ())

    def _listed_snapshots(self) -> tuple[Snapshot, ...]:
        return self.node.snapshots.list(
            max_entries=0, starting_token="", source_volume_id=None, snapshot_id=None
        ).entries

    # --- on the node ---

    def stage(self, name: str) -> None:
        """Stage a volume."""
        kubelet_dir, volume_id = self.node.kubelet_dir, self.volume_ids[name]
        spec = builders.stage_spec(kubelet_dir, volume_id, self.capabilities[name])
        self.node.publishing.stage(spec)

    def unstage(self, name: str) -> None:
        """Unstage a volume."""
        self.node.publishing.unstage(self.volume_ids[name], self._staging_path(name))

    def publish(self, name: str, pod: str = "pod-1", *, is_read_only: bool = False) -> None:
        """Publish a volume."""
        spec = builders.publish_spec(
            self.node.kubelet_dir,
            self.volume_ids[name],
            self.capabilities[name],
            pod=pod,
            is_read_only=is_read_only,
        )
        self.node.publishing.publish(spec)

    def unpublish(self, name: str, pod: str = "pod-1") -> None:
        """Unpublish a volume."""
        self.node.publishing.unpublish(self.volume_ids[name], self._target_path(name, pod))

    def publish_ephemeral(self) -> None:
        """Publish an inline ephemeral volume."""
        spec = builders.ephemeral_spec(self.node.kubelet_dir, parameters={"size": "64Mi"})
        self.node.publishing.publish_ephemeral(spec)

    def unpublish_ephemeral(self) -> None:
        """Unpublish it."""
        target_path = builders.ephemeral_spec(self.node.kubelet_dir).target_path
        self.node.publishing.unpublish(EphemeralId.parse(EPHEMERAL_ID), target_path)

    def expand_on_node(self, name: str) -> int:
        """The node's part of an expansion."""
        return self.node.publishing.expand(
            self.volume_ids[name], self._target_path(name, "pod-1"), CapacityRange(LARGER_BYTES)
        )

    # --- the life of the driver ---

    def restart(self) -> None:
        """Let a new driver take over."""
        self.node.clock.advance(1)
        self.node.restart()

    def count(self, step: "Step") -> tuple[str, ...]:
        """Do a step; returns the points that it passed."""
        points = CrashPoints()
        with self._effects(points):
            step(self)
        return tuple(points.passed)

    def crash(self, step: "Step", *, at: int | str) -> str:
        """Cut a step short; returns the point, and fails if the step does not come there."""
        with self._effects(CrashPoints(at)):
            try:
                step(self)
            except CrashError as crash:
                return str(crash)
        raise AssertionError(f"point {at} was not reached")

    def unknown_mounts(self) -> set[Path]:
        """The mounts that the node's state, as it is stored, does not tell of."""
        known = {path for state in NodeState(self.node.state_store) for path in state.paths}
        return {mount.mount_point for mount in self.node.mounter._mounts} - known

    @contextmanager
    def _effects(self, points: CrashPoints) -> Iterator[None]:
        self.node.effects = points
        try:
            yield
        finally:
            self.node.effects = no_effects

    def reboot(self) -> None:
        """Start the machine anew: what was mounted is not, and nobody remembers it."""
        self.node.state_store.documents.clear()
        self.lose_mounts()

    def lose_mounts(self) -> None:
        """As `reboot`, but the state directory is kept: it is not where it should be."""
        self.node.mounter.reboot()
        self.restart()

    # --- all of it, with data ---

    def use(self, name: str, capability: VolumeCapability | None = None) -> None:
        """Make a volume, stage and publish it, and write to it."""
        self.create(name, capability)
        self.stage(name)
        self.publish(name)
        target_path = self._target_path(name, "pod-1")
        if self.capabilities[name].access_type is AccessType.BLOCK:
            self.node.mounter.write_raw(target_path, f"blocks of {name}".encode())
        else:
            self.node.mounter.write_file(target_path, "file", f"text of {name}".encode())

    def put_away(self, name: str) -> None:
        """Take a volume out of use."""
        self.unpublish(name)
        self.unstage(name)

    def fill(self, name: str, capability: VolumeCapability | None = None) -> None:
        """Make a volume that holds data and is not in use."""
        self.use(name, capability)
        self.put_away(name)

    def _staging_path(self, name: str) -> Path:
        return builders.staging_path(self.node.kubelet_dir, self.volume_ids[name])

    def _target_path(self, name: str, pod: str) -> Path:
        return builders.target_path(self.node.kubelet_dir, self.volume_ids[name], pod)


Step = Callable[[Scene], object]
