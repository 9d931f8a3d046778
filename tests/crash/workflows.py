"""What the driver does for its callers, as workflows that a crash can cut short anywhere."""

from dataclasses import dataclass

from tests.crash import given
from tests.crash.given import BLOCK
from tests.crash.scene import LARGER_BYTES, Scene, Step

DISK = frozenset({"datasets", "images"})


@dataclass(frozen=True, slots=True)
class Workflow:
    """One call, and what is there before it.

    `opposite` is what undoes the call, also where nobody knows how far it came; `stays` names the
    parts of the end state in which some work of the call outlives that (a format, a device
    that was made read-only).
    """

    name: str
    given: Step
    call: Step
    opposite: Step | None = None
    stays: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return self.name


VOLUMES = (
    Workflow(
        "create",
        given.nothing,
        lambda scene: scene.create("pvc-1"),
        lambda scene: scene.delete_found("pvc-1"),
    ),
    Workflow(
        "restore-larger",
        given.snapshotted,
        lambda scene: scene.restore("pvc-2", "snap-1", size_bytes=LARGER_BYTES),
        lambda scene: scene.delete_found("pvc-2"),
    ),
    Workflow(
        "clone-in-use",
        lambda scene: scene.use("pvc-1"),
        lambda scene: scene.clone("pvc-2", "pvc-1"),
        lambda scene: scene.delete_found("pvc-2"),
    ),
    Workflow("delete", given.filled, lambda scene: scene.delete("pvc-1")),
    Workflow("delete-with-snapshot", given.snapshotted, lambda scene: scene.delete("pvc-1")),
    Workflow("delete-with-clone", given.restored, lambda scene: scene.delete("pvc-1")),
    Workflow("delete-last-clone", given.chained, lambda scene: scene.delete("pvc-3")),
    Workflow("delete-left-attached", given.left_attached, lambda scene: scene.delete("pvc-1")),
    Workflow("delete-block-lost", given.block_lost, lambda scene: scene.delete("pvc-1")),
    Workflow("expand", given.filled, lambda scene: scene.expand("pvc-1")),
)

SNAPSHOTS = (
    Workflow(
        "snapshot-in-use",
        lambda scene: scene.use("pvc-1"),
        lambda scene: scene.snapshot("snap-1", "pvc-1"),
        lambda scene: scene.delete_found_snapshot("snap-1"),
    ),
    Workflow("delete-snapshot", given.snapshotted, lambda scene: scene.delete_snapshot("snap-1")),
    Workflow(
        "delete-snapshot-with-clone", given.restored, lambda scene: scene.delete_snapshot("snap-1")
    ),
    Workflow(
        "delete-snapshot-of-deleted",
        given.deleted_with_snapshot,
        lambda scene: scene.delete_snapshot("snap-1"),
    ),
    Workflow(
        "group",
        given.of_three,
        lambda scene: scene.group("group-1", "pvc-1", "pvc-2", "pvc-3"),
        lambda scene: scene.delete_found_groups(),
    ),
    Workflow("delete-group", given.group_with_clone, lambda scene: scene.delete_group("group-1")),
)

NODE = (
    Workflow(
        "stage-first",
        lambda scene: scene.create("pvc-1"),
        lambda scene: scene.stage("pvc-1"),
        lambda scene: scene.unstage("pvc-1"),
        stays=DISK,
    ),
    Workflow("stage-after-cut-format", given.format_cut_short, lambda scene: scene.stage("pvc-1")),
    Workflow(
        "stage-again",
        given.filled,
        lambda scene: scene.stage("pvc-1"),
        lambda scene: scene.unstage("pvc-1"),
    ),
    Workflow(
        "stage-larger-twin",
        given.twin,
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
        given.staged,
        lambda scene: scene.publish("pvc-1"),
        lambda scene: scene.unpublish("pvc-1"),
    ),
    Workflow(
        "publish-block-read-only",
        given.staged_block,
        lambda scene: scene.publish("pvc-1", is_read_only=True),
        lambda scene: scene.unpublish("pvc-1"),
        stays=frozenset({"devices"}),
    ),
    Workflow("publish-after-reboot", given.rebooted, lambda scene: scene.publish("pvc-1")),
    Workflow("publish-block-after-reboot", given.rebooted, lambda scene: scene.publish("pvc-2")),
    Workflow("publish-lost", given.mounts_lost, lambda scene: scene.publish("pvc-1")),
    Workflow("publish-block-lost", given.mounts_lost, lambda scene: scene.publish("pvc-2")),
    Workflow("node-expand", given.used_and_expanded, lambda scene: scene.expand_on_node("pvc-1")),
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
        given.unpublished,
        lambda scene: scene.unstage("pvc-1"),
        lambda scene: scene.stage("pvc-1"),
    ),
    Workflow(
        "unstage-block",
        given.unpublished_block,
        lambda scene: scene.unstage("pvc-1"),
        lambda scene: scene.stage("pvc-1"),
    ),
    Workflow(
        "publish-ephemeral",
        given.nothing,
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
    Workflow("start-with-frozen", given.frozen, Scene.restart),
    Workflow("start-with-half-deleted", given.half_deleted, Scene.restart),
    Workflow("start-after-reboot", given.all_lost, Scene.restart),
)

WORKFLOWS = (*VOLUMES, *SNAPSHOTS, *NODE, *STARTS)
