"""Requests to the Node service: paths on this node, and inline ephemeral volumes."""

import re
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.domain.capabilities import AccessType, UnsupportedCapabilityError
from csi_zfs.domain.errors import InUseError, InvalidRequestError, NotFoundError
from csi_zfs.domain.ids import EphemeralId, VolumeId
from csi_zfs.domain.model import EphemeralSpec, PublishSpec, StageSpec
from csi_zfs.domain.parameters import without_metadata
from csi_zfs.domain.secrets import SecretUse
from csi_zfs.domain.sizes import CapacityRange
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.requests.capabilities import parse_capability
from csi_zfs.rpc.requests.fields import (
    parse_capacity_range,
    parse_known_id,
    parse_map,
    parse_node_volume_id,
    parse_secrets,
    require_fields,
)

EPHEMERAL_KEY = "csi.storage.k8s.io/ephemeral"

# What Linux takes: a path with its terminating zero in 4096 bytes, each component in 255.
MAX_PATH_BYTES = 4095
MAX_COMPONENT_BYTES = 255
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")


class InvalidPathError(InvalidRequestError):
    """The path is not an absolute, plain path below the kubelet's directory."""


class PathUnknownError(NotFoundError):
    """The path can never show a volume of this driver."""


class NotStagedError(InUseError):
    """The call needs a staged volume and does not say where it is staged."""


@dataclass(frozen=True, slots=True)
class NodeRequests:
    """Parses the requests of the node whose kubelet keeps everything below `kubelet_dir`.

    Paths are checked as text: where they lead is the mounter's to check (rules.md C1).
    """

    kubelet_dir: Path

    def parse_stage(self, request: csi_pb2.NodeStageVolumeRequest) -> StageSpec:
        """What to stage, where and how."""
        require_fields(request, "volume_id", "staging_target_path", "volume_capability")
        return StageSpec(
            volume_id=parse_known_id(VolumeId, request.volume_id),
            staging_target_path=self._path("staging_target_path", request.staging_target_path),
            capability=parse_capability(request.volume_capability),
            secrets=parse_secrets(SecretUse.NODE_STAGE, request.secrets),
        )

    def parse_unstage(self, request: csi_pb2.NodeUnstageVolumeRequest) -> tuple[VolumeId, Path]:
        """What to unstage, and from where."""
        require_fields(request, "volume_id", "staging_target_path")
        volume_id = parse_known_id(VolumeId, request.volume_id)
        return volume_id, self._path("staging_target_path", request.staging_target_path)

    def parse_publish(
        self, request: csi_pb2.NodePublishVolumeRequest
    ) -> PublishSpec | EphemeralSpec:
        """What to publish, where and how; raises `NotStagedError` without a staging path."""
        require_fields(request, "volume_id", "target_path", "volume_capability")
        if request.volume_context.get(EPHEMERAL_KEY) == "true":
            return self._parse_ephemeral(request)
        volume_id = parse_known_id(VolumeId, request.volume_id)
        if not request.staging_target_path:
            raise NotStagedError("staging_target_path is missing: stage the volume first")
        return PublishSpec(
            volume_id=volume_id,
            staging_target_path=self._path("staging_target_path", request.staging_target_path),
            target_path=self._path("target_path", request.target_path),
            capability=parse_capability(request.volume_capability),
            is_read_only=request.readonly,
            secrets=parse_secrets(SecretUse.NODE_PUBLISH, request.secrets),
        )

    def _parse_ephemeral(self, request: csi_pb2.NodePublishVolumeRequest) -> EphemeralSpec:
        ephemeral_id = EphemeralId.parse(request.volume_id)
        capability = parse_capability(request.volume_capability)
        if capability.access_type is not AccessType.MOUNT:
            raise UnsupportedCapabilityError("an inline ephemeral volume has access_type mount")
        return EphemeralSpec(
            ephemeral_id=str(ephemeral_id),
            target_path=self._path("target_path", request.target_path),
            capability=capability,
            is_read_only=request.readonly,
            # Among the metadata are tokens of the pod's service account.
            parameters=without_metadata(parse_map("volume_context", request.volume_context)),
            secrets=parse_secrets(SecretUse.NODE_PUBLISH, request.secrets),
        )

    def parse_unpublish(
        self, request: csi_pb2.NodeUnpublishVolumeRequest
    ) -> tuple[VolumeId | EphemeralId, Path]:
        """What to unpublish, and from where."""
        require_fields(request, "volume_id", "target_path")
        volume_id = parse_node_volume_id(request.volume_id)
        return volume_id, self._path("target_path", request.target_path)

    def parse_stats(
        self, request: csi_pb2.NodeGetVolumeStatsRequest
    ) -> tuple[VolumeId | EphemeralId, Path]:
        """What to measure, and where; a path that can show no volume is `PathUnknownError`."""
        require_fields(request, "volume_id", "volume_path")
        volume_id = parse_node_volume_id(request.volume_id)
        try:
            return volume_id, self._path("volume_path", request.volume_path)
        except InvalidPathError as exc:
            raise PathUnknownError(str(exc)) from exc

    def parse_expand(
        self, request: csi_pb2.NodeExpandVolumeRequest
    ) -> tuple[VolumeId, Path, CapacityRange]:
        """What to grow, where, and to which size; a range that is not set means all there is."""
        require_fields(request, "volume_id", "volume_path")
        volume_id = parse_known_id(VolumeId, request.volume_id)
        volume_path = self._path("volume_path", request.volume_path)
        if request.HasField("volume_capability"):
            parse_capability(request.volume_capability)
        return volume_id, volume_path, parse_capacity_range(request.capacity_range)

    def parse_health(
        self, request: csi_pb2.NodeGetVolumeHealthRequest
    ) -> tuple[VolumeId | EphemeralId, Path | None]:
        """Whose health, and at which path of it if the caller says so."""
        require_fields(request, "volume_id")
        volume_id = parse_node_volume_id(request.volume_id)
        if not request.volume_publish_path:
            return volume_id, None
        return volume_id, self._path("volume_publish_path", request.volume_publish_path)

    def _path(self, field: str, text: str) -> Path:
        if _CONTROL_CHARACTERS.search(text):
            raise InvalidPathError(f"{field} {text[:128]!r} has control characters")
        size_bytes = len(text.encode())
        components = text.split("/")[1:]
        longest_bytes = max((len(component.encode()) for component in components), default=0)
        if size_bytes > MAX_PATH_BYTES or longest_bytes > MAX_COMPONENT_BYTES:
            raise InvalidPathError(f"{field} {text[:128]!r}... is longer than Linux allows")
        if not text.startswith("/") or not {"", ".", ".."}.isdisjoint(components):
            raise InvalidPathError(
                f"{field} {text!r} is not absolute or has '.', '..' or '//' in it"
            )
        path = Path(text)
        if self.kubelet_dir not in path.parents:
            raise InvalidPathError(f"{field} {text!r} is not below {self.kubelet_dir}")
        return path
