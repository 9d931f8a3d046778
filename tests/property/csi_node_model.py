"""The part of the model that is on the node: who is staged and published where, and how."""

from google.protobuf.message import Message

from csi_zfs.rpc.generated import csi_pb2
from tests.property.csi_model import Code, CsiModel, ModelVolume, Use, fs_type_of

Mode = csi_pb2.VolumeCapability.AccessMode
NodePath = (
    csi_pb2.NodeStageVolumeRequest
    | csi_pb2.NodeUnstageVolumeRequest
    | csi_pb2.NodePublishVolumeRequest
    | csi_pb2.NodeUnpublishVolumeRequest
)


class NodeModel(CsiModel):
    """All of the model."""

    # --- staging ---

    def _expect_NodeStageVolumeRequest(self, request: csi_pb2.NodeStageVolumeRequest) -> Code:
        volume = self.volumes.get(request.volume_id)
        if volume is None:
            return Code.NOT_FOUND
        if not _fits(volume, request.volume_capability):
            return Code.INVALID_ARGUMENT
        return self._expect_staging(
            request.volume_id, request.staging_target_path, _use_of(request.volume_capability)
        )

    def _expect_staging(self, volume_id: str, path: str, use: Use) -> Code:
        staged = self.volumes[volume_id].staged
        if self._owner_of(path) not in ("", volume_id) or (staged and path not in staged):
            return Code.FAILED_PRECONDITION
        return Code.OK if staged.get(path, use) == use else Code.ALREADY_EXISTS

    def _learn_NodeStageVolumeRequest(
        self, request: csi_pb2.NodeStageVolumeRequest, _answer: Message
    ) -> None:
        use = _use_of(request.volume_capability)
        self._stage(request.volume_id, request.staging_target_path, use)

    def _stage(self, volume_id: str, path: str, use: Use) -> None:
        volume = self.volumes[volume_id]
        volume.staged[path] = use
        volume.disk.is_formatted = True

    def _expect_NodeUnstageVolumeRequest(self, request: csi_pb2.NodeUnstageVolumeRequest) -> Code:
        volume = self.volumes.get(request.volume_id)
        is_other = self._owner_of(request.staging_target_path) not in ("", request.volume_id)
        is_used = is_other or (volume is not None and volume.published)
        return Code.FAILED_PRECONDITION if is_used else Code.OK

    def _learn_NodeUnstageVolumeRequest(
        self, request: csi_pb2.NodeUnstageVolumeRequest, _answer: Message
    ) -> None:
        if request.volume_id in self.volumes:
            self.volumes[request.volume_id].staged.pop(request.staging_target_path, None)

    # --- publishing ---

    def _expect_NodePublishVolumeRequest(self, request: csi_pb2.NodePublishVolumeRequest) -> Code:
        volume = self.volumes.get(request.volume_id)
        if volume is None:
            return Code.NOT_FOUND
        if not _fits(volume, request.volume_capability):
            return Code.INVALID_ARGUMENT
        use = _use_of(request.volume_capability, is_read_only=request.readonly)
        if self._owner_of(request.target_path) not in ("", request.volume_id):
            return Code.FAILED_PRECONDITION
        if volume.published.get(request.target_path, use) != use:
            return Code.ALREADY_EXISTS
        if not _is_shareable(volume, request.target_path, use):
            return Code.FAILED_PRECONDITION
        return self._expect_staging(
            request.volume_id, request.staging_target_path, self._staging_use(request)
        )

    def _learn_NodePublishVolumeRequest(
        self, request: csi_pb2.NodePublishVolumeRequest, _answer: Message
    ) -> None:
        staging_use = self._staging_use(request)
        self._stage(request.volume_id, request.staging_target_path, staging_use)
        use = _use_of(request.volume_capability, is_read_only=request.readonly)
        self.volumes[request.volume_id].published[request.target_path] = use

    def _staging_use(self, request: csi_pb2.NodePublishVolumeRequest) -> Use:
        """A publish stages a volume that is not, in the way that it is itself asked for."""
        staged = self.volumes[request.volume_id].staged
        return staged.get(request.staging_target_path, _use_of(request.volume_capability))

    def _expect_NodeUnpublishVolumeRequest(
        self, request: csi_pb2.NodeUnpublishVolumeRequest
    ) -> Code:
        is_other = self._owner_of(request.target_path) not in ("", request.volume_id)
        return Code.FAILED_PRECONDITION if is_other else Code.OK

    def _learn_NodeUnpublishVolumeRequest(
        self, request: csi_pb2.NodeUnpublishVolumeRequest, _answer: Message
    ) -> None:
        if request.volume_id in self.volumes:
            self.volumes[request.volume_id].published.pop(request.target_path, None)

    # --- looking at what is in use ---

    def _expect_NodeGetVolumeStatsRequest(self, request: csi_pb2.NodeGetVolumeStatsRequest) -> Code:
        return Code.OK if self._shows(request.volume_id, request.volume_path) else Code.NOT_FOUND

    def _expect_NodeExpandVolumeRequest(self, request: csi_pb2.NodeExpandVolumeRequest) -> Code:
        if not self._shows(request.volume_id, request.volume_path):
            return Code.NOT_FOUND
        size_bytes = self.volumes[request.volume_id].disk.size_bytes
        is_larger = request.capacity_range.required_bytes > size_bytes
        return Code.INVALID_ARGUMENT if is_larger else Code.OK

    def _learn_NodeExpandVolumeRequest(
        self,
        request: csi_pb2.NodeExpandVolumeRequest,
        answer: csi_pb2.NodeExpandVolumeResponse,
    ) -> None:
        assert answer.capacity_bytes == self.volumes[request.volume_id].disk.size_bytes

    def _shows(self, volume_id: str, path: str) -> bool:
        """Whether something of the volume is mounted there: a staged block device is not."""
        volume = self.volumes.get(volume_id)
        if volume is None:
            return False
        return path in volume.published or (bool(volume.disk.fs_type) and path in volume.staged)

    def _owner_of(self, path: str) -> str:
        owners = (
            volume_id
            for volume_id, volume in self.volumes.items()
            if path in volume.staged or path in volume.published
        )
        return next(owners, "")


def _fits(volume: ModelVolume, capability: csi_pb2.VolumeCapability) -> bool:
    is_mount = bool(volume.disk.fs_type)
    return capability.HasField("mount") is is_mount and fs_type_of(capability) in (
        "",
        volume.disk.fs_type,
    )


def _use_of(capability: csi_pb2.VolumeCapability, *, is_read_only: bool = False) -> Use:
    return Use(fs_type_of(capability), is_read_only, capability.access_mode.mode)


def _is_shareable(volume: ModelVolume, path: str, use: Use) -> bool:
    others = [other for at, other in volume.published.items() if at != path]
    uses = [use, *others]
    if others and any(one.mode != Mode.SINGLE_NODE_MULTI_WRITER for one in uses):
        return False
    is_block = not volume.disk.fs_type
    return not is_block or all(one.is_read_only is use.is_read_only for one in others)
