"""What the driver does for its callers, as workflows that a crash can cut short anywhere."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.crash.scene import LARGER_BYTES, Scene
from tests.support.builders import block_capability, mount_capability

Step = Callable[[Scene], object]

BLOCK = block_capability()
XFS = mount_capability("xfs")
BIG_XFS_BYTES = 512 << 20
DISK = frozenset({"datasets", "images"})


@dataclass(frozen=True, slots=True)
class Workflow:
    """One call, and what is there before it.

    `opposite` is what undoes the call, also where nobody knows how far it came; `stays` names the
    parts of the end state in which some work of the call outlives that (a format).
    """

    name: str
    given: Step
    call: Step
    opposite: Step | None = None
    stays: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name


def nothing(_scene: Scene) -> None:
    """Begin with an empty pool."""


def steps(*parts: Step) -> Step:
    """One step after another."""

    def run(scene: Scene) -> None:
        for part in parts:
            part(scene)

    return run


def _filled(scene: Scene) -> None:
    scene.fill("pvc-1")


def _snapshotted(scene: Scene) -> None:
    scene.fill("pvc-1")
    scene.snapshot("snap-1", "pvc-1")


def _restored(scene: Scene) -> None:
    _snapshotted(scene)
    scene.restore("pvc-2", "snap-1")


def _chained(scene: Scene) -> None:
    """A clone of a clone, whose origins are all deleted."""
    _restored(scene)
    scene.snapshot("snap-2", "pvc-2")
    scene.restore("pvc-3", "snap-2")
    for volume in ("pvc-1", "pvc-2"):
        scene.delete(volume)
    for snapshot in ("snap-1", "snap-2"):
        scene.delete_snapshot(snapshot)


def _of_three(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.use("pvc-2", BLOCK)
    scene.create("pvc-3")


def _group(scene: Scene) -> object:
    return scene.group("group-1", "pvc-1", "pvc-2", "pvc-3")


def _group_with_clone(scene: Scene) -> None:
    _of_three(scene)
    group = scene.group("group-1", "pvc-1", "pvc-2", "pvc-3")
    member = next(
        one for one in group.snapshots if one.source_volume_id == scene.volume_ids["pvc-1"]
    )
    scene.snapshot_ids["member"] = member.snapshot_id
    scene.restore("pvc-4", "member")


def _used_and_expanded(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.expand("pvc-1")


def _rebooted(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.use("pvc-2", BLOCK)
    scene.reboot()


def _mounts_lost(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.use("pvc-2", BLOCK)
    scene.lose_mounts()


def _left_attached(scene: Scene) -> None:
    """A device that nobody remembers."""
    scene.fill("pvc-1")
    scene.node.mounter.attach(scene.node.pool.data_path("v/pvc-1"))


def _block_lost(scene: Scene) -> None:
    """What is remembered of a block volume is all that is left of its use."""
    scene.create("pvc-1", BLOCK)
    scene.stage("pvc-1")
    scene.lose_mounts()


def _all_lost(scene: Scene) -> None:
    scene.use("pvc-1")
    scene.use("pvc-2", BLOCK)
    scene.node.mounter.reboot()


def _frozen(scene: Scene) -> None:
    """The driver before this one died in a snapshot."""
    scene.use("pvc-1")
    scene.node.image(scene.volume_ids["pvc-1"]).is_frozen = True


def _half_deleted(scene: Scene) -> None:
    """The driver before this one died in the delete of a snapshot, and in that of a volume."""
    _restored(scene)
    pool, snapshot_id = scene.node.pool, scene.snapshot_ids["snap-1"]
    pool.rename_snapshot("v/pvc-1@snap-1", f"v/pvc-1@D-{snapshot_id.uid}")
    pool.retire("v/pvc-1", f"v/D-{scene.volume_ids['pvc-1'].uid}")
    pool.destroy("v/pvc-2", uid=scene.volume_ids["pvc-2"].uid)


def _restart(scene: Scene) -> None:
    scene.node.restart()


VOLUMES = (
    Workflow(
        "create",
        nothing,
        lambda scene: scene.create("pvc-1"),
        lambda scene: scene.delete_found("pvc-1"),
    ),
    Workflow(
        "restore-larger",
        _snapshotted,
        lambda scene: scene.restore("pvc-2", "snap-1", size_bytes=LARGER_BYTES),
        lambda scene: scene.delete_found("pvc-2"),
    ),
    Workflow(
        "clone-in-use",
        lambda scene: scene.use("pvc-1"),
        lambda scene: scene.clone("pvc-2", "pvc-1"),
        lambda scene: scene.delete_found("pvc-2"),
    ),
    Workflow("delete", _filled, lambda scene: scene.delete("pvc-1")),
    Workflow("delete-with-snapshot", _snapshotted, lambda scene: scene.delete("pvc-1")),
    Workflow("delete-with-clone", _restored, lambda scene: scene.delete("pvc-1")),
    Workflow("delete-last-clone", _chained, lambda scene: scene.delete("pvc-3")),
    Workflow("delete-left-attached", _left_attached, lambda scene: scene.delete("pvc-1")),
    Workflow("delete-block-lost", _block_lost, lambda scene: scene.delete("pvc-1")),
    Workflow("expand", _filled, lambda scene: scene.expand("pvc-1")),
)

SNAPSHOTS = (
    Workflow(
        "snapshot-in-use",
        lambda scene: scene.use("pvc-1"),
        lambda scene: scene.snapshot("snap-1", "pvc-1"),
        lambda scene: scene.delete_found_snapshot("snap-1"),
    ),
    Workflow("delete-snapshot", _snapshotted, lambda scene: scene.delete_snapshot("snap-1")),
    Workflow(
        "delete-snapshot-with-clone", _restored, lambda scene: scene.delete_snapshot("snap-1")
    ),
    Workflow(
        "delete-snapshot-of-deleted",
        steps(_snapshotted, lambda scene: scene.delete("pvc-1")),
        lambda scene: scene.delete_snapshot("snap-1"),
    ),
    Workflow("group", _of_three, _group, lambda scene: scene.delete_found_groups()),
    Workflow("delete-group", _group_with_clone, lambda scene: scene.delete_group("group-1")),
)

NODE = (
    Workflow(
        "stage-first",
        lambda scene: scene.create("pvc-1"),
        lambda scene: scene.stage("pvc-1"),
        lambda scene: scene.unstage("pvc-1"),
        stays=DISK,
    ),
    Workflow(
        "stage-again",
        _filled,
        lambda scene: scene.stage("pvc-1"),
        lambda scene: scene.unstage("pvc-1"),
    ),
    Workflow(
        "stage-larger-twin",
        lambda scene: (
            scene.create("pvc-1", XFS, size_bytes=BIG_XFS_BYTES),
            scene.stage("pvc-1"),
            scene.snapshot("snap-1", "pvc-1"),
            scene.restore("pvc-2", "snap-1", size_bytes=2 * BIG_XFS_BYTES),
        ),
        lambda scene: scene.stage("pvc-2"),
        lambda scene: scene.unstage("pvc-2"),
        stays=DISK,
    ),
    Workflow(
        "stage-block",
        lambda scene: scene.create("pvc-1", BLOCK),
        lambda scene: scene.stage("pvc-1"),
        lambda scene: scene.unstage("pvc-1"),
    ),
    Workflow(
        "publish",
        lambda scene: (scene.create("pvc-1"), scene.stage("pvc-1")),
        lambda scene: scene.publish("pvc-1"),
        lambda scene: scene.unpublish("pvc-1"),
    ),
    Workflow(
        "publish-block-read-only",
        lambda scene: (scene.create("pvc-1", BLOCK), scene.stage("pvc-1")),
        lambda scene: scene.publish("pvc-1", is_read_only=True),
        lambda scene: scene.unpublish("pvc-1"),
    ),
    Workflow("publish-after-reboot", _rebooted, lambda scene: scene.publish("pvc-1")),
    Workflow("publish-block-after-reboot", _rebooted, lambda scene: scene.publish("pvc-2")),
    Workflow("publish-lost", _mounts_lost, lambda scene: scene.publish("pvc-1")),
    Workflow("publish-block-lost", _mounts_lost, lambda scene: scene.publish("pvc-2")),
    Workflow("node-expand", _used_and_expanded, lambda scene: scene.expand_on_node("pvc-1")),
    Workflow(
        "unpublish",
        lambda scene: scene.use("pvc-1"),
        lambda scene: scene.unpublish("pvc-1"),
        lambda scene: scene.publish("pvc-1"),
    ),
    Workflow(
        "unpublish-block",
        lambda scene: scene.use("pvc-1", BLOCK),
        lambda scene: scene.unpublish("pvc-1"),
        lambda scene: scene.publish("pvc-1"),
    ),
    Workflow(
        "unstage",
        lambda scene: (scene.use("pvc-1"), scene.unpublish("pvc-1")),
        lambda scene: scene.unstage("pvc-1"),
        lambda scene: scene.stage("pvc-1"),
    ),
    Workflow(
        "unstage-block",
        lambda scene: (scene.use("pvc-1", BLOCK), scene.unpublish("pvc-1")),
        lambda scene: scene.unstage("pvc-1"),
        lambda scene: scene.stage("pvc-1"),
    ),
    Workflow(
        "publish-ephemeral",
        nothing,
        lambda scene: scene.publish_ephemeral(),
        lambda scene: scene.unpublish_ephemeral(),
    ),
    Workflow(
        "unpublish-ephemeral",
        lambda scene: scene.publish_ephemeral(),
        lambda scene: scene.unpublish_ephemeral(),
    ),
)

STARTS = (
    Workflow("start-with-frozen", _frozen, _restart),
    Workflow("start-with-half-deleted", _half_deleted, _restart),
    Workflow("start-after-reboot", _all_lost, _restart),
)

WORKFLOWS = (*VOLUMES, *SNAPSHOTS, *NODE, *STARTS)
