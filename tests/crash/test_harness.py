"""The harness finds what it is made to find: services with a mistake planted are caught."""

from collections.abc import Iterator

import pytest

from csi_zfs.domain.model import PublishSpec
from csi_zfs.services.burial import Burial
from csi_zfs.services.contents import PoolContents
from csi_zfs.services.entries import VolumeEntry
from csi_zfs.services.node_state import NodeState, Use
from csi_zfs.services.publishing import Publishing
from csi_zfs.services.records import DiskFormat, FormatState
from csi_zfs.services.staging import Disk
from tests.crash.disturbed import a_scene
from tests.crash.end_state import end_state_of
from tests.crash.points import CrashPoints
from tests.crash.scene import Scene
from tests.crash.workflows import WORKFLOWS, Workflow
from tests.support.files import CrashError


def workflow(name: str) -> Workflow:
    return next(one for one in WORKFLOWS if one.name == name)


def caught(of: Workflow) -> Iterator[str]:
    """The points after whose crash the repeated call fails or ends differently."""
    with a_scene(of, dependent_clones=True) as scene:
        points = scene.count(of.call)
        wanted = end_state_of(scene.node)
    for number, point in enumerate(points):
        with a_scene(of, dependent_clones=True) as scene:
            scene.crash(of.call, at=number)
            scene.restart()
            if not is_repaired(scene, of, wanted):
                yield point


def is_repaired(scene: Scene, of: Workflow, wanted: object) -> bool:
    try:
        of.call(scene)
    except Exception:  # noqa: BLE001 - any error will do
        return False
    return end_state_of(scene.node) == wanted


@pytest.mark.parametrize("name", ["stage-first", "delete-snapshot-with-clone", "snapshot-in-use"])
def test_harness_without_mistake_catches_nothing(name: str) -> None:
    assert list(caught(workflow(name))) == []


def test_harness_with_format_that_is_not_announced_catches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = Disk.with_format

    def forgetful(self: Disk, disk_format: DiskFormat) -> Disk:
        announces = disk_format.state is FormatState.FORMATTING
        return self if announces else honest(self, disk_format)

    monkeypatch.setattr(Disk, "with_format", forgetful)
    assert {"format:half", "format:after"} <= set(caught(workflow("stage-first")))


def test_harness_with_start_that_finishes_no_delete_catches_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lazy(self: Burial, contents: PoolContents) -> None: ...

    monkeypatch.setattr(Burial, "finish_deletes", lazy)
    assert "rename_snapshot:after" in caught(workflow("delete-snapshot-with-clone"))


def test_harness_with_start_that_thaws_nothing_catches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def lazy(self: NodeState) -> Iterator[object]:
        return iter(())

    monkeypatch.setattr(NodeState, "__iter__", lazy)
    assert {"freeze:after", "thaw:before"} <= set(caught(workflow("snapshot-in-use")))


def test_harness_with_state_saved_after_mount_catches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the mount that the node state does not know."""
    honest = Publishing._show

    def hasty(self: Publishing, entry: VolumeEntry, spec: PublishSpec, use: Use) -> None:
        self.mounter.bind(spec.staging_target_path, spec.target_path, is_read_only=False)
        honest(self, entry, spec, use)

    monkeypatch.setattr(Publishing, "_show", hasty)
    with a_scene(workflow("publish"), dependent_clones=True) as scene:
        scene.crash(workflow("publish").call, at="bind:after")
        assert scene.unknown_mounts()


def test_harness_at_point_that_is_not_there_fails() -> None:
    with (
        a_scene(workflow("create"), dependent_clones=True) as scene,
        pytest.raises(AssertionError, match="not reached"),
    ):
        scene.crash(workflow("create").call, at=1_000)


def test_points_of_dead_process_are_not_passed() -> None:
    """Whatever its `finally` blocks try."""
    points = CrashPoints("two")
    points("one")
    for point in ("two", "three"):
        with pytest.raises(CrashError):
            points(point)
    assert points.passed == ["one", "two"]
