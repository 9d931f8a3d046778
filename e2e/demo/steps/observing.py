"""What the driver says about what it has: lists, usage, health."""

from collections.abc import Iterator, Sequence

from csi_zfs.domain.sizes import format_size
from csi_zfs.rpc.generated import csi_pb2
from e2e.demo.scene import Scene, require
from tests.support.orchestrator import PublishedVolume


def play_observing(scene: Scene, volume: PublishedVolume) -> None:
    """Play the whole part."""
    with scene.steps.step("list, page by page") as say:
        volume_ids = _ids_of(scene.client.list_volumes(page_entries=4))
        snapshot_ids = [
            [snapshot.snapshot_id for snapshot in page]
            for page in scene.client.list_snapshots(page_entries=2)
        ]
        in_use = {item.volume_id for item in scene.orchestrator.published.values()}
        found = {volume_id for page in volume_ids for volume_id in page}
        require(found == in_use, f"listed {len(found)} volumes, and there are {len(in_use)}")
        say(
            f"{len(found)} volumes on {len(volume_ids)} pages,"
            f" {sum(map(len, snapshot_ids))} snapshots on {len(snapshot_ids)}"
        )
    with scene.steps.step("usage and health") as say:
        usage = scene.client.stats(volume.volume_id, volume.target_path)
        findings = _findings(scene, volume)
        require(not findings, f"something is ill: {findings}")
        say(f"{_words(usage)} used; volume, node and pool are healthy")


def _ids_of(pages: Iterator[Sequence[csi_pb2.Volume]]) -> list[list[str]]:
    return [[volume.volume_id for volume in page] for page in pages]


def _words(usage: Sequence[csi_pb2.VolumeUsage]) -> str:
    by_unit = {item.unit: item for item in usage}
    size = by_unit[csi_pb2.VolumeUsage.BYTES]
    inodes = by_unit[csi_pb2.VolumeUsage.INODES]
    return f"{format_size(size.used)} of {format_size(size.total)} and {inodes.used} inodes"


def _findings(scene: Scene, volume: PublishedVolume) -> list[str]:
    client = scene.client
    as_controller = client.call(
        client.controller.ControllerGetVolumeHealth,
        csi_pb2.ControllerGetVolumeHealthRequest(volume_id=volume.volume_id),
    )
    as_node = client.call(
        client.node.NodeGetVolumeHealth,
        csi_pb2.NodeGetVolumeHealthRequest(volume_id=volume.volume_id),
    )
    of_pools = client.call(client.node.NodeGetStorageHealth, csi_pb2.NodeGetStorageHealthRequest())
    entries = [
        *as_controller.volume_health.health_statuses,
        *as_node.volume_health.health_statuses,
    ]
    return [
        *(entry.message for entry in entries),
        *(backend.message for backend in of_pools.backend_health),
    ]
