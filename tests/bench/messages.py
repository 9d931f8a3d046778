"""The calls that are measured: their methods, the requests' bytes, and the ids in the answers."""

from collections.abc import Iterable, Sequence

from csi_zfs.domain.sizes import MIB
from csi_zfs.rpc.generated import csi_pb2
from tests.support.csi_messages import block_capability, from_snapshot, from_volume

PROBE = "/csi.v1.Identity/Probe"
GET_PLUGIN_INFO = "/csi.v1.Identity/GetPluginInfo"
GET_CAPACITY = "/csi.v1.Controller/GetCapacity"
GET_VOLUME = "/csi.v1.Controller/ControllerGetVolume"
LIST_VOLUMES = "/csi.v1.Controller/ListVolumes"
CREATE_VOLUME = "/csi.v1.Controller/CreateVolume"
DELETE_VOLUME = "/csi.v1.Controller/DeleteVolume"
CREATE_SNAPSHOT = "/csi.v1.Controller/CreateSnapshot"
DELETE_SNAPSHOT = "/csi.v1.Controller/DeleteSnapshot"

_SMALL_BYTES = MIB


def new_volume(
    name: str,
    *,
    size_bytes: int = _SMALL_BYTES,
    source: csi_pb2.VolumeContentSource | None = None,
) -> bytes:
    """A CreateVolume request for a block volume, since what it holds is no matter here."""
    return csi_pb2.CreateVolumeRequest(
        name=name,
        capacity_range=csi_pb2.CapacityRange(required_bytes=size_bytes),
        volume_capabilities=[block_capability()],
        volume_content_source=source,
    ).SerializeToString()


def new_volumes(names: Iterable[str]) -> list[bytes]:
    """CreateVolume requests for empty volumes."""
    return [new_volume(name) for name in names]


def copies_of_snapshots(snapshot_ids: Sequence[str], names: Iterable[str]) -> list[bytes]:
    """CreateVolume requests, one for each snapshot."""
    return [
        new_volume(name, source=from_snapshot(snapshot_id))
        for snapshot_id, name in zip(snapshot_ids, names, strict=True)
    ]


def copies_of_volumes(volume_ids: Sequence[str], names: Iterable[str]) -> list[bytes]:
    """CreateVolume requests, one for each volume."""
    return [
        new_volume(name, source=from_volume(volume_id))
        for volume_id, name in zip(volume_ids, names, strict=True)
    ]


def new_snapshots(volume_ids: Sequence[str], names: Iterable[str]) -> list[bytes]:
    """CreateSnapshot requests, one for each volume."""
    return [
        csi_pb2.CreateSnapshotRequest(source_volume_id=volume_id, name=name).SerializeToString()
        for volume_id, name in zip(volume_ids, names, strict=True)
    ]


def volumes_to_delete(volume_ids: Iterable[str]) -> list[bytes]:
    """DeleteVolume requests."""
    return [
        csi_pb2.DeleteVolumeRequest(volume_id=volume_id).SerializeToString()
        for volume_id in volume_ids
    ]


def snapshots_to_delete(snapshot_ids: Iterable[str]) -> list[bytes]:
    """DeleteSnapshot requests."""
    return [
        csi_pb2.DeleteSnapshotRequest(snapshot_id=snapshot_id).SerializeToString()
        for snapshot_id in snapshot_ids
    ]


def volumes_to_get(volume_ids: Iterable[str]) -> list[bytes]:
    """ControllerGetVolume requests."""
    return [
        csi_pb2.ControllerGetVolumeRequest(volume_id=volume_id).SerializeToString()
        for volume_id in volume_ids
    ]


def page(entries: int) -> bytes:
    """A ListVolumes request for the first page."""
    return csi_pb2.ListVolumesRequest(max_entries=entries).SerializeToString()


def volume_ids_in(answers: Iterable[bytes]) -> list[str]:
    """The ids that CreateVolume answered with."""
    return [csi_pb2.CreateVolumeResponse.FromString(data).volume.volume_id for data in answers]


def snapshot_ids_in(answers: Iterable[bytes]) -> list[str]:
    """The ids that CreateSnapshot answered with."""
    return [
        csi_pb2.CreateSnapshotResponse.FromString(data).snapshot.snapshot_id for data in answers
    ]


def listed_volume_ids_in(answer: bytes) -> list[str]:
    """The ids that ListVolumes answered with."""
    response = csi_pb2.ListVolumesResponse.FromString(answer)
    return [entry.volume.volume_id for entry in response.entries]
