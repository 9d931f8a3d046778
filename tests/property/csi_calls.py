"""What a caller may ask next: mostly what makes sense, with ids that exist or have existed."""

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message
from hypothesis import strategies as st

from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2
from tests.property.csi_node_model import Mode, NodeModel
from tests.support.csi_messages import (
    block_capability,
    from_snapshot,
    from_volume,
    mount_capability,
)

Capability = csi_pb2.VolumeCapability

NAMES = st.sampled_from(["a", "b", "c"])
# The last one has to be rounded up.
SIZES = st.sampled_from([0, 16 * MIB, 24 * MIB, 24 * MIB + 1])
MODES = st.sampled_from([Mode.SINGLE_NODE_WRITER, *[Mode.SINGLE_NODE_MULTI_WRITER] * 2])
FS_TYPES = st.sampled_from(["", "", "ext4", "xfs"])
NUMBERS = st.sampled_from([1, 1, 2])
NEVER_MADE = {
    "v": "zfs1:0000000000000001:v:never:00000000000000aa",
    "s": "zfs1:0000000000000001:s:never:00000000000000aa",
    "g": "zfs1:0000000000000001:g:never:00000000000000aa",
}


@dataclass(frozen=True)
class Calls:
    """The requests that a caller may send now; `root` is the kubelet's directory."""

    model: NodeModel
    root: str

    def any(self, data: st.DataObject) -> Message:
        """One request; those without which there is nothing to work on come more often."""
        return data.draw(data.draw(self._kinds())())

    def two(self, data: st.DataObject) -> tuple[Message, Message]:
        """Two requests for one moment: the same, of one kind, or any."""
        kind = data.draw(self._kinds())
        first = data.draw(kind())
        others = [st.just(first), kind(), data.draw(self._kinds())()]
        return first, data.draw(st.one_of(others))

    def _kinds(self) -> st.SearchStrategy[Callable[[], st.SearchStrategy[Message]]]:
        making = [self.create, self.copy, self.snapshot, self.group, self.expand]
        on_node = [self.stage, self.publish, self.publish, self.unpublish]
        ending = [self.unstage, self.delete, self.delete_snapshot, self.delete_group]
        about = [self.stats, self.node_expand, self.get_volume, self.get_snapshot]
        return st.sampled_from([*making, *on_node, *on_node, *ending, *about])

    # --- volumes ---

    def create(self) -> st.SearchStrategy[Message]:
        return st.builds(_create, NAMES, SIZES, _capabilities())

    def copy(self) -> st.SearchStrategy[Message]:
        """Of the kind that the source is: what else may come of a copy, the unit tests show."""
        sources = sorted(self.model.volumes | self.model.snapshots)
        return st.builds(
            self._copy, NAMES, SIZES, FS_TYPES, st.sampled_from(sources or [NEVER_MADE["s"]])
        )

    def _copy(self, name: str, size_bytes: int, fs_type: str, source_id: str) -> Message:
        kept = self.model.volumes.get(source_id) or self.model.snapshots.get(source_id)
        is_block = kept is not None and not kept.disk.fs_type
        capability = block_capability() if is_block else mount_capability(fs_type)
        source = from_snapshot(source_id) if ":s:" in source_id else from_volume(source_id)
        return _create(name, size_bytes, capability, source)

    def delete(self) -> st.SearchStrategy[Message]:
        return st.builds(csi_pb2.DeleteVolumeRequest, volume_id=self._ids("v"))

    def get_volume(self) -> st.SearchStrategy[Message]:
        return st.builds(csi_pb2.ControllerGetVolumeRequest, volume_id=self._ids("v"))

    def expand(self) -> st.SearchStrategy[Message]:
        sizes = st.sampled_from([32 * MIB, 48 * MIB])
        return st.builds(
            csi_pb2.ControllerExpandVolumeRequest,
            volume_id=self._ids("v"),
            capacity_range=st.builds(csi_pb2.CapacityRange, required_bytes=sizes),
        )

    # --- snapshots ---

    def snapshot(self) -> st.SearchStrategy[Message]:
        return st.builds(csi_pb2.CreateSnapshotRequest, name=NAMES, source_volume_id=self._ids("v"))

    def delete_snapshot(self) -> st.SearchStrategy[Message]:
        return st.builds(csi_pb2.DeleteSnapshotRequest, snapshot_id=self._ids("s"))

    def get_snapshot(self) -> st.SearchStrategy[Message]:
        return st.builds(csi_pb2.GetSnapshotRequest, snapshot_id=self._ids("s"))

    def group(self) -> st.SearchStrategy[Message]:
        return st.builds(
            csi_pb2.CreateVolumeGroupSnapshotRequest,
            name=NAMES,
            source_volume_ids=st.lists(self._ids("v"), min_size=1, max_size=3, unique=True),
        )

    def delete_group(self) -> st.SearchStrategy[Message]:
        def of(group_id: str) -> Message:
            return csi_pb2.DeleteVolumeGroupSnapshotRequest(
                group_snapshot_id=group_id,
                snapshot_ids=self.model.members(group_id) or [NEVER_MADE["s"]],
            )

        return st.builds(of, self._ids("g"))

    # --- on the node ---

    def stage(self) -> st.SearchStrategy[Message]:
        return self._with_capability(self._stage)

    def _stage(self, volume_id: str, number: int, capability: Capability) -> Message:
        return csi_pb2.NodeStageVolumeRequest(
            volume_id=volume_id,
            staging_target_path=self._staging_path(volume_id, number),
            volume_capability=capability,
        )

    def unstage(self) -> st.SearchStrategy[Message]:
        def of(volume_id: str, number: int) -> Message:
            path = self._staging_path(volume_id, number)
            return csi_pb2.NodeUnstageVolumeRequest(volume_id=volume_id, staging_target_path=path)

        return st.builds(of, self._ids("v"), NUMBERS)

    def publish(self) -> st.SearchStrategy[Message]:
        def of(request: Message, target: int, *, is_read_only: bool) -> Message:
            assert isinstance(request, csi_pb2.NodeStageVolumeRequest)
            return csi_pb2.NodePublishVolumeRequest(
                volume_id=request.volume_id,
                staging_target_path=request.staging_target_path,
                volume_capability=request.volume_capability,
                target_path=self._target_path(target),
                readonly=is_read_only,
            )

        return st.builds(of, self.stage(), NUMBERS, is_read_only=st.sampled_from([False, True]))

    def unpublish(self) -> st.SearchStrategy[Message]:
        return st.builds(
            csi_pb2.NodeUnpublishVolumeRequest,
            volume_id=self._ids("v"),
            target_path=NUMBERS.map(self._target_path),
        )

    def stats(self) -> st.SearchStrategy[Message]:
        def of(volume_id: str, number: int, *, is_staged: bool) -> Message:
            staging_path = self._staging_path(volume_id, number)
            path = staging_path if is_staged else self._target_path(number)
            return csi_pb2.NodeGetVolumeStatsRequest(volume_id=volume_id, volume_path=path)

        return st.builds(of, self._ids("v"), NUMBERS, is_staged=st.booleans())

    def node_expand(self) -> st.SearchStrategy[Message]:
        return st.builds(
            csi_pb2.NodeExpandVolumeRequest,
            volume_id=self._ids("v"),
            volume_path=NUMBERS.map(self._target_path),
            capacity_range=st.builds(csi_pb2.CapacityRange, required_bytes=SIZES),
        )

    def _with_capability(
        self, make: Callable[[str, int, Capability], Message]
    ) -> st.SearchStrategy[Message]:
        """Mostly as the volume was made for."""

        def of(
            volume_id: str, number: int, mode: Mode.Mode.ValueType, other: Capability | None
        ) -> Message:
            volume = self.model.volumes.get(volume_id)
            is_block = volume is not None and not volume.disk.fs_type
            fitting = block_capability(mode=mode) if is_block else mount_capability(mode=mode)
            return make(volume_id, number, other or fitting)

        others = st.one_of(*[st.none()] * 5, _capabilities())
        return st.builds(of, self._ids("v"), NUMBERS, MODES, others)

    def _ids(self, kind: str) -> st.SearchStrategy[str]:
        """Mostly of things that exist; the last ones that are gone, whose names may live again."""
        model = self.model
        living = {
            "v": sorted(model.volumes),
            "s": sorted(model.snapshots),
            "g": sorted(model.groups),
        }
        gone = [*model.gone[kind][-3:], NEVER_MADE[kind]]
        return st.sampled_from([*living[kind] * 6, *gone])

    def _staging_path(self, volume_id: str, number: int) -> str:
        """Mostly one of the volume's own, as the kubelet has it."""
        name = volume_id.split(":")[3] if number == 1 else "shared"
        return f"{self.root}/staging/{name}"

    def _target_path(self, number: int) -> str:
        return f"{self.root}/pods/{number}"


def _create(
    name: str,
    size_bytes: int,
    capability: Capability,
    source: csi_pb2.VolumeContentSource | None = None,
) -> Message:
    return csi_pb2.CreateVolumeRequest(
        name=name,
        capacity_range=csi_pb2.CapacityRange(required_bytes=size_bytes),
        volume_capabilities=[capability],
        volume_content_source=source,
    )


def _capabilities() -> st.SearchStrategy[Capability]:
    return st.builds(mount_capability, FS_TYPES) | st.builds(block_capability, mode=MODES)
