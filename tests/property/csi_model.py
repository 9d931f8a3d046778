"""The plainest model of the driver: what each call answers, from what the calls before it did.

It knows no pool, no locks and no crash.  `expect` says with which code a request ends; `learn`
takes the answer of one that succeeded, and fails where it is not the one that it must be.
"""

from dataclasses import dataclass, field

import grpc
from google.protobuf.message import Message

from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.rpc.generated import csi_pb2

Code = grpc.StatusCode
DEFAULT_BYTES = GIB
MINIMUM_BYTES = {"ext4": 16 * MIB, "xfs": 300 * MIB, "": MIB}


@dataclass(frozen=True)
class Outcome:
    """How a call ended."""

    request: Message
    code: Code
    answer: Message | None = None

    def __str__(self) -> str:
        return f"{type(self.request).__name__} {self.request} -> {self.code.name} {self.answer}"


@dataclass(frozen=True)
class Use:
    """How a path is in use."""

    capability: str
    is_read_only: bool = False
    mode: int = 0


@dataclass
class ModelDisk:
    """What a volume or snapshot holds; `fs_type` is empty for a block device."""

    size_bytes: int
    fs_type: str
    is_formatted: bool = False
    content: bytes = b""

    def copy(self, size_bytes: int = 0) -> "ModelDisk":
        """The same, perhaps larger."""
        size_bytes = max(self.size_bytes, size_bytes)
        return ModelDisk(size_bytes, self.fs_type, self.is_formatted, self.content)


@dataclass
class ModelVolume:
    """A volume, and its uses by path."""

    name: str
    disk: ModelDisk
    source_id: str = ""
    staged: dict[str, Use] = field(default_factory=dict)
    published: dict[str, Use] = field(default_factory=dict)


@dataclass
class ModelSnapshot:
    """A snapshot; `group_id` is empty for one that was taken alone."""

    name: str
    source_id: str
    disk: ModelDisk
    group_id: str = ""


@dataclass
class CsiModel:
    """All volumes, snapshots and groups by id; `gone` are ids of deleted ones."""

    volumes: dict[str, ModelVolume] = field(default_factory=dict)
    snapshots: dict[str, ModelSnapshot] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    gone: dict[str, list[str]] = field(default_factory=lambda: {"v": [], "s": [], "g": []})

    def expect(self, request: Message) -> Code:
        """With which code the request ends."""
        code: Code = getattr(self, f"_expect_{type(request).__name__}")(request)
        return code

    def learn(self, request: Message, answer: Message) -> None:
        """Do what the driver did; fails where the answer cannot be right."""
        getattr(self, f"_learn_{type(request).__name__}", _nothing)(request, answer)

    def explains(self, outcome: Outcome) -> bool:
        """Whether the request can have ended so now; the model then goes on from there."""
        if self.expect(outcome.request) is not outcome.code:
            return False
        try:
            if outcome.answer is not None:
                self.learn(outcome.request, outcome.answer)
        except AssertionError:
            return False
        return True

    # --- volumes ---

    def _expect_CreateVolumeRequest(self, request: csi_pb2.CreateVolumeRequest) -> Code:
        existing = self._named(request.name)
        if existing:
            return Code.OK if _is_same(self.volumes[existing], request) else Code.ALREADY_EXISTS
        if not request.HasField("volume_content_source"):
            return Code.OK
        disk = self._source_disk(source_of(request))
        if disk is None:
            return Code.NOT_FOUND
        asked = fs_type_of(request.volume_capabilities[0])
        is_other = disk.is_formatted and asked not in ("", disk.fs_type)
        return Code.INVALID_ARGUMENT if is_other else Code.OK

    def _learn_CreateVolumeRequest(
        self, request: csi_pb2.CreateVolumeRequest, answer: csi_pb2.CreateVolumeResponse
    ) -> None:
        volume = answer.volume
        assert self._named(request.name) in ("", volume.volume_id)
        if not self._named(request.name):
            disk = self._new_disk(request)
            self.volumes[volume.volume_id] = ModelVolume(request.name, disk, source_of(request))
        assert volume.capacity_bytes == self.volumes[volume.volume_id].disk.size_bytes
        assert volume.content_source == request.volume_content_source

    def _new_disk(self, request: csi_pb2.CreateVolumeRequest) -> ModelDisk:
        capability = request.volume_capabilities[0]
        asked = fs_type_of(capability) or ("ext4" if capability.HasField("mount") else "")
        source = self._source_disk(source_of(request))
        if source is None:
            source = ModelDisk(0, asked)
        required_bytes = request.capacity_range.required_bytes
        disk = source.copy(required_bytes or (0 if source.size_bytes else DEFAULT_BYTES))
        if not disk.is_formatted:
            disk.fs_type = fs_type_of(capability) or disk.fs_type
        size_bytes = max(disk.size_bytes, MINIMUM_BYTES[disk.fs_type])
        disk.size_bytes = -(-size_bytes // MIB) * MIB
        return disk

    def _expect_DeleteVolumeRequest(self, request: csi_pb2.DeleteVolumeRequest) -> Code:
        volume = self.volumes.get(request.volume_id)
        is_used = volume is not None and (volume.staged or volume.published)
        return Code.FAILED_PRECONDITION if is_used else Code.OK

    def _learn_DeleteVolumeRequest(
        self, request: csi_pb2.DeleteVolumeRequest, _answer: Message
    ) -> None:
        if self.volumes.pop(request.volume_id, None):
            self.gone["v"].append(request.volume_id)

    def _expect_ControllerGetVolumeRequest(
        self, request: csi_pb2.ControllerGetVolumeRequest
    ) -> Code:
        return Code.OK if request.volume_id in self.volumes else Code.NOT_FOUND

    def _expect_ControllerExpandVolumeRequest(
        self, request: csi_pb2.ControllerExpandVolumeRequest
    ) -> Code:
        return Code.OK if request.volume_id in self.volumes else Code.NOT_FOUND

    def _learn_ControllerExpandVolumeRequest(
        self,
        request: csi_pb2.ControllerExpandVolumeRequest,
        answer: csi_pb2.ControllerExpandVolumeResponse,
    ) -> None:
        disk = self.volumes[request.volume_id].disk
        disk.size_bytes = max(disk.size_bytes, request.capacity_range.required_bytes)
        assert answer.capacity_bytes == disk.size_bytes

    # --- snapshots ---

    def _expect_CreateSnapshotRequest(self, request: csi_pb2.CreateSnapshotRequest) -> Code:
        existing = self._snapshot_named(request.name)
        if existing:
            is_same = self.snapshots[existing].source_id == request.source_volume_id
            return Code.OK if is_same else Code.ALREADY_EXISTS
        return Code.OK if request.source_volume_id in self.volumes else Code.NOT_FOUND

    def _learn_CreateSnapshotRequest(
        self, request: csi_pb2.CreateSnapshotRequest, answer: csi_pb2.CreateSnapshotResponse
    ) -> None:
        assert self._snapshot_named(request.name) in ("", answer.snapshot.snapshot_id)
        assert answer.snapshot.ready_to_use
        self._learn_snapshot(answer.snapshot, request.name)

    def _learn_snapshot(self, snapshot: csi_pb2.Snapshot, name: str) -> None:
        if snapshot.snapshot_id not in self.snapshots:
            disk = self.volumes[snapshot.source_volume_id].disk.copy()
            self.snapshots[snapshot.snapshot_id] = ModelSnapshot(
                name, snapshot.source_volume_id, disk, snapshot.group_snapshot_id
            )
        known = self.snapshots[snapshot.snapshot_id]
        assert snapshot.size_bytes == known.disk.size_bytes
        assert snapshot.group_snapshot_id == known.group_id

    def _expect_DeleteSnapshotRequest(self, request: csi_pb2.DeleteSnapshotRequest) -> Code:
        snapshot = self.snapshots.get(request.snapshot_id)
        is_member = snapshot is not None and snapshot.group_id
        return Code.INVALID_ARGUMENT if is_member else Code.OK

    def _learn_DeleteSnapshotRequest(
        self, request: csi_pb2.DeleteSnapshotRequest, _answer: Message
    ) -> None:
        if self.snapshots.pop(request.snapshot_id, None):
            self.gone["s"].append(request.snapshot_id)

    def _expect_GetSnapshotRequest(self, request: csi_pb2.GetSnapshotRequest) -> Code:
        return Code.OK if request.snapshot_id in self.snapshots else Code.NOT_FOUND

    # --- groups ---

    def _expect_CreateVolumeGroupSnapshotRequest(
        self, request: csi_pb2.CreateVolumeGroupSnapshotRequest
    ) -> Code:
        existing = self._group_named(request.name)
        if existing:
            sources = {self.snapshots[one].source_id for one in self.members(existing)}
            is_same = sources == set(request.source_volume_ids)
            return Code.OK if is_same else Code.ALREADY_EXISTS
        known = self.volumes.keys() >= set(request.source_volume_ids)
        return Code.OK if known else Code.NOT_FOUND

    def _learn_CreateVolumeGroupSnapshotRequest(
        self,
        request: csi_pb2.CreateVolumeGroupSnapshotRequest,
        answer: csi_pb2.CreateVolumeGroupSnapshotResponse,
    ) -> None:
        group = answer.group_snapshot
        assert self._group_named(request.name) in ("", group.group_snapshot_id)
        sources = sorted(snapshot.source_volume_id for snapshot in group.snapshots)
        assert sources == sorted(request.source_volume_ids)
        self.groups[group.group_snapshot_id] = request.name
        for snapshot in group.snapshots:
            self._learn_snapshot(snapshot, "")

    def _expect_DeleteVolumeGroupSnapshotRequest(
        self, request: csi_pb2.DeleteVolumeGroupSnapshotRequest
    ) -> Code:
        return Code.OK

    def _learn_DeleteVolumeGroupSnapshotRequest(
        self, request: csi_pb2.DeleteVolumeGroupSnapshotRequest, _answer: Message
    ) -> None:
        if self.groups.pop(request.group_snapshot_id, None):
            self.gone["g"].append(request.group_snapshot_id)
            for member in self.members(request.group_snapshot_id):
                del self.snapshots[member]
                self.gone["s"].append(member)

    # --- looking things up ---

    def members(self, group_id: str) -> list[str]:
        """The snapshots of a group."""
        return [key for key, one in self.snapshots.items() if one.group_id == group_id]

    def _named(self, name: str) -> str:
        return next((key for key, one in self.volumes.items() if one.name == name), "")

    def _snapshot_named(self, name: str) -> str:
        return next((key for key, one in self.snapshots.items() if one.name == name), "")

    def _group_named(self, name: str) -> str:
        return next((key for key, one in self.groups.items() if one == name), "")

    def _source_disk(self, source_id: str) -> ModelDisk | None:
        source = self.volumes.get(source_id) or self.snapshots.get(source_id)
        return source.disk if source else None


def _nothing(_request: Message, _answer: Message) -> None:
    """A call that changes nothing."""


def fs_type_of(capability: csi_pb2.VolumeCapability) -> str:
    """The file system that is asked for; empty for the default and for block."""
    return capability.mount.fs_type


def source_of(request: csi_pb2.CreateVolumeRequest) -> str:
    """The id of the content source; empty if there is none."""
    source = request.volume_content_source
    return source.snapshot.snapshot_id or source.volume.volume_id


def _is_same(volume: ModelVolume, request: csi_pb2.CreateVolumeRequest) -> bool:
    capability = request.volume_capabilities[0]
    return (
        volume.disk.size_bytes >= request.capacity_range.required_bytes
        and volume.source_id == source_of(request)
        and bool(volume.disk.fs_type) is capability.HasField("mount")
        and fs_type_of(capability) in ("", volume.disk.fs_type)
    )
