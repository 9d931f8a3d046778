"""A volume of files: made, used, snapshotted, ruined, restored, cloned, grown."""

from dataclasses import dataclass

from csi_zfs.domain.sizes import GIB, MIB, format_size
from csi_zfs.rpc.generated import csi_pb2
from e2e.demo.sample import disturb, plant
from e2e.demo.scene import (
    Scene,
    data_of,
    grown,
    mounted_as,
    require,
    require_tree,
    room_of,
)
from e2e.demo.trees import Tree, differences, read_tree
from e2e.demo.writers import CounterWriter
from tests.support.csi_messages import from_snapshot, from_volume, mount_capability
from tests.support.orchestrator import PublishedVolume

XFS = mount_capability("xfs")


@dataclass(frozen=True, slots=True)
class Documents:
    """What is there at the end: all in use, and the files as they were at the snapshot."""

    original: PublishedVolume
    snapshot: csi_pb2.Snapshot
    restored: PublishedVolume
    clone: PublishedVolume
    tree: Tree


def play_documents(scene: Scene) -> Documents:
    """Play the whole part."""
    original = _make(scene)
    tree = _fill(scene, original)
    snapshot = _snapshot_and_ruin(scene, original, tree)
    restored = _restore(scene, snapshot, tree)
    clone = _clone(scene, original)
    _expand(scene, restored)
    return Documents(original, snapshot, restored, clone, tree)


def _make(scene: Scene) -> PublishedVolume:
    with scene.steps.step("create a volume") as say:
        volume = scene.client.create_volume("documents", size_bytes=GIB, capability=XFS)
        say(f"{format_size(volume.capacity_bytes)}: {volume.volume_id}")
    with scene.steps.step("stage and publish it") as say:
        published = scene.orchestrator.publish("documents", volume.volume_id, XFS)
        say(f"{mounted_as(published, 'xfs')} at a pod's path")
    return published


def _fill(scene: Scene, volume: PublishedVolume) -> Tree:
    with scene.steps.step("put files in it") as say:
        planted = plant(data_of(volume))
        tree = read_tree(data_of(volume))
        say(
            f"{planted.files} files, {format_size(planted.size_bytes)}:"
            " /usr/share/doc, hard and symbolic links, holes, attributes"
        )
    return tree


def _snapshot_and_ruin(scene: Scene, volume: PublishedVolume, tree: Tree) -> csi_pb2.Snapshot:
    with scene.steps.step("snapshot it") as say:
        snapshot = scene.client.create_snapshot("before-the-mess", volume.volume_id)
        require(snapshot.ready_to_use, "the snapshot is not ready to use")
        say("while it is mounted; ready to use at once")
    with scene.steps.step("delete and change files") as say:
        disturb(data_of(volume))
        found = differences(tree, read_tree(data_of(volume)))
        require(bool(found), "the files are unchanged")
        say(f"{len(found)} of {len(tree)} entries are not what they were")
    return snapshot


def _restore(scene: Scene, snapshot: csi_pb2.Snapshot, tree: Tree) -> PublishedVolume:
    with scene.steps.step("restore to a larger volume") as say:
        volume = scene.client.create_volume(
            "restored",
            size_bytes=2 * GIB,
            capability=XFS,
            source=from_snapshot(snapshot.snapshot_id),
        )
        restored = scene.orchestrator.publish("restored", volume.volume_id, XFS)
        require(room_of(restored) > 1.8 * GIB, "the restored file system has not grown")
        say(f"{grown(GIB, volume.capacity_bytes)}, file system and all")
    with scene.steps.step("compare with the snapshot") as say:
        say(require_tree(restored, tree))
    return restored


def _clone(scene: Scene, original: PublishedVolume) -> PublishedVolume:
    with scene.steps.step("clone the living volume") as say:
        tree = read_tree(data_of(original))
        volume = scene.client.create_volume(
            "clone", size_bytes=GIB, capability=XFS, source=from_volume(original.volume_id)
        )
        clone = scene.orchestrator.publish("clone", volume.volume_id, XFS)
        say(require_tree(clone, tree))
        (data_of(clone) / "only here").write_text("the original does not see this\n")
        require_tree(original, tree)
    return clone


def _expand(scene: Scene, volume: PublishedVolume) -> None:
    with (
        scene.steps.step("expand it in use") as say,
        CounterWriter([volume.target_path / "counter"]) as writer,
    ):
        before_bytes = room_of(volume)
        writer.wait_for_more(5)
        scene.orchestrator.expand(volume, 3 * GIB)
        require(room_of(volume) > before_bytes + 900 * MIB, "the file system has not grown")
        count = writer.wait_for_more(5)
        say(f"{grown(2 * GIB, 3 * GIB)}, with a writer that went on ({count} synced writes)")
