"""What workflows find when they begin."""

from tests.crash.scene import Scene
from tests.support.builders import block_capability, mount_capability

BLOCK = block_capability()
XFS = mount_capability("xfs")
XFS_BYTES = 512 << 20


def nothing(_scene: Scene) -> None:
    """Begin with an empty pool."""


def filled(scene: Scene) -> None:
    scene.fill("pvc-1")


def snapshotted(scene: Scene) -> None:
    scene.fill("pvc-1")
    scene.snapshot("snap-1", "pvc-1")


def restored(scene: Scene) -> None:
    snapshotted(scene)
    scene.restore("pvc-2", "snap-1")


def chained(scene: Scene) -> None:
    """A clone of a clone, whose origins are all deleted."""
    restored(scene)
    scene.snapshot("snap-2", "pvc-2")
    scene.restore("pvc-3", "snap-2")
    for volume in ("pvc-1", "pvc-2"):
        scene.delete(volume)
    for snapshot in ("snap-1", "snap-2"):
        scene.delete_snapshot(snapshot)


def of_three(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.use("pvc-2", BLOCK)
    scene.create("pvc-3")


def group_with_clone(scene: Scene) -> None:
    of_three(scene)
    group = scene.group("group-1", "pvc-1", "pvc-2", "pvc-3")
    member = next(
        one for one in group.snapshots if one.source_volume_id == scene.volume_ids["pvc-1"]
    )
    scene.snapshot_ids["member"] = member.snapshot_id
    scene.restore("pvc-4", "member")


def used_and_expanded(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.expand("pvc-1")


def rebooted(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.use("pvc-2", BLOCK)
    scene.reboot()


def mounts_lost(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.use("pvc-2", BLOCK)
    scene.lose_mounts()


def left_attached(scene: Scene) -> None:
    """A device that nobody remembers."""
    scene.fill("pvc-1")
    scene.node.mounter.attach(scene.node.pool.data_path("v/pvc-1"))


def block_lost(scene: Scene) -> None:
    """What is remembered of a block volume is all that is left of its use."""
    scene.create("pvc-1", BLOCK)
    scene.stage("pvc-1")
    scene.lose_mounts()


def all_lost(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.use("pvc-2", BLOCK)
    scene.node.mounter.reboot()


def format_cut_short(scene: Scene) -> None:
    scene.create("pvc-1")
    scene.crash(lambda scene: scene.stage("pvc-1"), at="format:half")
    scene.restart()


def frozen(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.crash(lambda scene: scene.snapshot("snap-1", "pvc-1"), at="thaw:before")


def half_deleted(scene: Scene) -> None:
    """The delete of a snapshot, and that of the last clone of a deleted volume, cut short."""
    restored(scene)
    scene.delete("pvc-1")
    # Just renamed, where the clone needs it; else just gone, and its tombstone not yet.
    scene.crash(lambda scene: scene.delete_snapshot("snap-1"), at=2)
    scene.crash(lambda scene: scene.delete("pvc-2"), at="destroy:after")


def deleted_with_snapshot(scene: Scene) -> None:
    snapshotted(scene)
    scene.delete("pvc-1")


def staged(scene: Scene) -> None:
    scene.create("pvc-1")
    scene.stage("pvc-1")


def staged_block(scene: Scene) -> None:
    scene.create("pvc-1", BLOCK)
    scene.stage("pvc-1")


def twin(scene: Scene) -> None:
    """A larger copy of an XFS that is mounted (rules.md A11)."""
    scene.create("pvc-1", XFS, size_bytes=XFS_BYTES)
    scene.stage("pvc-1")
    scene.snapshot("snap-1", "pvc-1")
    scene.restore("pvc-2", "snap-1", size_bytes=2 * XFS_BYTES)


def unpublished(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.unpublish("pvc-1")


def unpublished_block(scene: Scene) -> None:
    scene.use("pvc-1", BLOCK)
    scene.unpublish("pvc-1")
