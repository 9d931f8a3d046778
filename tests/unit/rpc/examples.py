"""Requests that pass, to be spoilt one field at a time."""

from collections.abc import Callable

from google.protobuf.message import Message

from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.requests.node import EPHEMERAL_KEY
from tests.support.services import EPHEMERAL_ID, GROUP_ID, SNAPSHOT_ID, VOLUME_ID

KUBELET_DIR = "/var/lib/kubelet"
STAGING_PATH = f"{KUBELET_DIR}/plugins/kubernetes.io/csi/csi-zfs/1f/globalmount"
TARGET_PATH = f"{KUBELET_DIR}/pods/9c/volumes/kubernetes.io~csi/pvc-1/mount"
TOKENS = "csi.storage.k8s.io/serviceAccount.tokens"

Mode = csi_pb2.VolumeCapability.AccessMode.Mode


def mount_capability(
    fs_type: str = "", *, mode: int = Mode.SINGLE_NODE_WRITER, flags: tuple[str, ...] = ()
) -> csi_pb2.VolumeCapability:
    capability = csi_pb2.VolumeCapability(
        mount=csi_pb2.VolumeCapability.MountVolume(fs_type=fs_type, mount_flags=flags)
    )
    capability.access_mode.mode = mode  # type: ignore[assignment]
    return capability


def block_capability() -> csi_pb2.VolumeCapability:
    return csi_pb2.VolumeCapability(
        block=csi_pb2.VolumeCapability.BlockVolume(),
        access_mode=csi_pb2.VolumeCapability.AccessMode(mode=Mode.SINGLE_NODE_WRITER),
    )


def create_volume() -> csi_pb2.CreateVolumeRequest:
    return csi_pb2.CreateVolumeRequest(name="pvc-1", volume_capabilities=[mount_capability()])


def validate_capabilities() -> csi_pb2.ValidateVolumeCapabilitiesRequest:
    return csi_pb2.ValidateVolumeCapabilitiesRequest(
        volume_id=str(VOLUME_ID), volume_capabilities=[mount_capability()]
    )


def expand_volume() -> csi_pb2.ControllerExpandVolumeRequest:
    return csi_pb2.ControllerExpandVolumeRequest(
        volume_id=str(VOLUME_ID), capacity_range=csi_pb2.CapacityRange(required_bytes=2**30)
    )


def create_snapshot() -> csi_pb2.CreateSnapshotRequest:
    return csi_pb2.CreateSnapshotRequest(name="snap-1", source_volume_id=str(VOLUME_ID))


def create_group_snapshot() -> csi_pb2.CreateVolumeGroupSnapshotRequest:
    return csi_pb2.CreateVolumeGroupSnapshotRequest(
        name="group-1", source_volume_ids=[str(VOLUME_ID)]
    )


def delete_group_snapshot() -> csi_pb2.DeleteVolumeGroupSnapshotRequest:
    return csi_pb2.DeleteVolumeGroupSnapshotRequest(
        group_snapshot_id=str(GROUP_ID), snapshot_ids=[str(SNAPSHOT_ID)]
    )


def get_group_snapshot() -> csi_pb2.GetVolumeGroupSnapshotRequest:
    return csi_pb2.GetVolumeGroupSnapshotRequest(
        group_snapshot_id=str(GROUP_ID), snapshot_ids=[str(SNAPSHOT_ID)]
    )


def stage() -> csi_pb2.NodeStageVolumeRequest:
    return csi_pb2.NodeStageVolumeRequest(
        volume_id=str(VOLUME_ID),
        staging_target_path=STAGING_PATH,
        volume_capability=mount_capability(),
    )


def publish() -> csi_pb2.NodePublishVolumeRequest:
    return csi_pb2.NodePublishVolumeRequest(
        volume_id=str(VOLUME_ID),
        staging_target_path=STAGING_PATH,
        target_path=TARGET_PATH,
        volume_capability=mount_capability(),
    )


def publish_ephemeral() -> csi_pb2.NodePublishVolumeRequest:
    return csi_pb2.NodePublishVolumeRequest(
        volume_id=str(EPHEMERAL_ID),
        target_path=TARGET_PATH,
        volume_capability=mount_capability(),
        volume_context={EPHEMERAL_KEY: "true", "size": "2Gi", TOKENS: "canary"},
    )


def unstage() -> csi_pb2.NodeUnstageVolumeRequest:
    return csi_pb2.NodeUnstageVolumeRequest(
        volume_id=str(VOLUME_ID), staging_target_path=STAGING_PATH
    )


def unpublish() -> csi_pb2.NodeUnpublishVolumeRequest:
    return csi_pb2.NodeUnpublishVolumeRequest(volume_id=str(VOLUME_ID), target_path=TARGET_PATH)


def stats() -> csi_pb2.NodeGetVolumeStatsRequest:
    return csi_pb2.NodeGetVolumeStatsRequest(volume_id=str(VOLUME_ID), volume_path=TARGET_PATH)


def node_expand() -> csi_pb2.NodeExpandVolumeRequest:
    return csi_pb2.NodeExpandVolumeRequest(volume_id=str(VOLUME_ID), volume_path=TARGET_PATH)


def node_health() -> csi_pb2.NodeGetVolumeHealthRequest:
    return csi_pb2.NodeGetVolumeHealthRequest(volume_id=str(VOLUME_ID))


# One request that passes for every method that the driver has.
EXAMPLES: dict[str, Callable[[], Message]] = {
    "GetPluginInfo": csi_pb2.GetPluginInfoRequest,
    "GetPluginCapabilities": csi_pb2.GetPluginCapabilitiesRequest,
    "Probe": csi_pb2.ProbeRequest,
    "CreateVolume": create_volume,
    "DeleteVolume": lambda: csi_pb2.DeleteVolumeRequest(volume_id=str(VOLUME_ID)),
    "ValidateVolumeCapabilities": validate_capabilities,
    "ListVolumes": csi_pb2.ListVolumesRequest,
    "ControllerListVolumeHealth": csi_pb2.ControllerListVolumeHealthRequest,
    "ControllerGetVolumeHealth": lambda: csi_pb2.ControllerGetVolumeHealthRequest(
        volume_id=str(VOLUME_ID)
    ),
    "GetCapacity": csi_pb2.GetCapacityRequest,
    "ControllerGetCapabilities": csi_pb2.ControllerGetCapabilitiesRequest,
    "CreateSnapshot": create_snapshot,
    "DeleteSnapshot": lambda: csi_pb2.DeleteSnapshotRequest(snapshot_id=str(SNAPSHOT_ID)),
    "ListSnapshots": csi_pb2.ListSnapshotsRequest,
    "GetSnapshot": lambda: csi_pb2.GetSnapshotRequest(snapshot_id=str(SNAPSHOT_ID)),
    "ControllerExpandVolume": expand_volume,
    "ControllerGetVolume": lambda: csi_pb2.ControllerGetVolumeRequest(volume_id=str(VOLUME_ID)),
    "ControllerModifyVolume": lambda: csi_pb2.ControllerModifyVolumeRequest(
        volume_id=str(VOLUME_ID), mutable_parameters={"compression": "lz4"}
    ),
    "GroupControllerGetCapabilities": csi_pb2.GroupControllerGetCapabilitiesRequest,
    "CreateVolumeGroupSnapshot": create_group_snapshot,
    "DeleteVolumeGroupSnapshot": delete_group_snapshot,
    "GetVolumeGroupSnapshot": get_group_snapshot,
    "NodeStageVolume": stage,
    "NodeUnstageVolume": unstage,
    "NodePublishVolume": publish_ephemeral,
    "NodeUnpublishVolume": unpublish,
    "NodeGetVolumeStats": stats,
    "NodeGetVolumeHealth": node_health,
    "NodeGetStorageHealth": csi_pb2.NodeGetStorageHealthRequest,
    "NodeExpandVolume": node_expand,
    "NodeGetCapabilities": csi_pb2.NodeGetCapabilitiesRequest,
    "NodeGetInfo": csi_pb2.NodeGetInfoRequest,
}
