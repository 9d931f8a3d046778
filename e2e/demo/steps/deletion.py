"""Everything is deleted in an order that nobody would choose."""

from csi_zfs.domain.sizes import GIB
from e2e.demo.scene import Scene, require, require_tree
from e2e.demo.steps.devices import Devices
from e2e.demo.steps.documents import XFS, Documents
from e2e.demo.steps.groups import Groups
from tests.support.csi_messages import from_snapshot


def play_deletion(scene: Scene, documents: Documents, devices: Devices, groups: Groups) -> None:
    """Play the whole part; nothing is there at its end."""
    client, orchestrator = scene.client, scene.orchestrator
    with scene.steps.step("unpublish everything") as say:
        volumes = list(orchestrator.published.values())
        for volume in volumes:
            orchestrator.unpublish(volume)
        say(f"{len(volumes)} volumes")
    with scene.steps.step("delete a volume first") as say:
        client.delete_volume(documents.original.volume_id)
        client.delete_volume(documents.original.volume_id)
        say("the one that has a snapshot, a restored copy and a clone; and once more: no error")
    with scene.steps.step("restore it all the same") as say:
        copy = client.create_volume(
            "late",
            size_bytes=GIB,
            capability=XFS,
            source=from_snapshot(documents.snapshot.snapshot_id),
        )
        late = orchestrator.publish("late", copy.volume_id, XFS)
        say(require_tree(late, documents.tree))
        orchestrator.unpublish(late)
    with scene.steps.step("delete all else") as say:
        client.delete_snapshot(documents.snapshot.snapshot_id)
        client.delete_snapshot(devices.snapshot.snapshot_id)
        for volume in (*groups.originals, devices.original):
            client.delete_volume(volume.volume_id)
        client.delete_group_snapshot(groups.group)
        copies = (documents.clone, documents.restored, devices.restored, *groups.restored)
        for volume in copies:
            client.delete_volume(volume.volume_id)
        client.delete_volume(copy.volume_id)
        left = [
            item
            for pages in (client.list_volumes(), client.list_snapshots())
            for page in pages
            for item in page
        ]
        require(not left, f"the driver still lists {left}")
        say("snapshots before their copies, volumes before their group; the lists are empty")
