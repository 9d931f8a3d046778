"""Paths on the node: whose they are, and where they may lie."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.domain.ids import VolumeId
from csi_zfs.mount.api import TargetBusyError, TargetPathError
from csi_zfs.services.uses import PathOfOtherVolumeError
from tests.support.builders import publish_spec, stage_spec, staging_path, target_path, volume_spec
from tests.support.node import FakeNode
from tests.support.node_calls import is_shown, publish, stage


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-1")).volume_id


@pytest.fixture
def other_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-2")).volume_id


def calls_with_paths_of(
    node: FakeNode, volume_id: VolumeId, *, by: VolumeId
) -> list[Callable[[], None]]:
    """Every call that takes a path, for one volume with the paths of another."""
    kubelet_dir, publishing = node.kubelet_dir, node.publishing
    staging, target = staging_path(kubelet_dir, volume_id), target_path(kubelet_dir, volume_id)
    stage, publish_ = stage_spec(kubelet_dir, by), publish_spec(kubelet_dir, by)
    return [
        lambda: publishing.stage(replace(stage, staging_target_path=staging)),
        lambda: publishing.publish(replace(publish_, target_path=target)),
        lambda: publishing.publish(replace(publish_, staging_target_path=staging)),
        lambda: publishing.unpublish(by, target),
        lambda: publishing.unstage(by, staging),
    ]


def test_path_of_another_volume_is_refused_and_left_alone(
    node: FakeNode, volume_id: VolumeId, other_id: VolumeId
) -> None:
    """rules.md A6."""
    target = publish(node, volume_id)
    for call in calls_with_paths_of(node, volume_id, by=other_id):
        with pytest.raises(PathOfOtherVolumeError, match=str(volume_id)):
            call()
    assert is_shown(node, volume_id, staging_path(node.kubelet_dir, volume_id))
    assert is_shown(node, volume_id, target)


def test_target_is_free_for_another_volume_once_it_is_unpublished(
    node: FakeNode, volume_id: VolumeId, other_id: VolumeId
) -> None:
    target = publish(node, volume_id)
    node.publishing.unpublish(volume_id, target)
    node.publishing.publish(replace(publish_spec(node.kubelet_dir, other_id), target_path=target))
    assert is_shown(node, other_id, target)
    node.publishing.unpublish(other_id, target)
    assert publish(node, volume_id) == target


def test_path_outside_the_kubelets_directory_is_refused(
    node: FakeNode, volume_id: VolumeId, tmp_path: Path
) -> None:
    """rules.md C1."""
    for path in (tmp_path / "elsewhere", node.kubelet_dir / ".." / "elsewhere"):
        spec = replace(stage_spec(node.kubelet_dir, volume_id), staging_target_path=path)
        with pytest.raises(TargetPathError):
            node.publishing.stage(spec)
    assert not (tmp_path / "elsewhere").exists()


def test_path_through_a_symbolic_link_is_refused_and_the_volume_is_free_for_a_good_one(
    node: FakeNode, volume_id: VolumeId, tmp_path: Path
) -> None:
    """rules.md C1."""
    (tmp_path / "elsewhere").mkdir()
    (node.kubelet_dir / "link").symlink_to(tmp_path / "elsewhere")
    spec = stage_spec(node.kubelet_dir, volume_id)
    with pytest.raises(TargetPathError, match="symbolic link"):
        node.publishing.stage(
            replace(spec, staging_target_path=node.kubelet_dir / "link" / "staging")
        )
    assert list((tmp_path / "elsewhere").iterdir()) == []
    node.restart()
    node.publishing.stage(spec)


def test_path_where_something_else_is_mounted_is_refused(
    node: FakeNode, volume_id: VolumeId, other_id: VolumeId
) -> None:
    """rules.md A6: something that the driver does not remember."""
    target = publish(node, other_id)
    node.state_store.documents.clear()
    node.restart()
    with pytest.raises(TargetBusyError):
        node.publishing.publish(
            replace(publish_spec(node.kubelet_dir, volume_id), target_path=target)
        )


def test_publish_does_not_show_what_took_the_place_of_the_stage(
    node: FakeNode, volume_id: VolumeId, other_id: VolumeId
) -> None:
    """rules.md A6: that something is mounted at the staging path proves nothing."""
    stage(node, volume_id)
    stage(node, other_id)
    staging = staging_path(node.kubelet_dir, volume_id)
    node.mounter.unmount(staging)
    node.mounter.bind(staging_path(node.kubelet_dir, other_id), staging, is_read_only=False)
    with pytest.raises(TargetBusyError, match="something else is mounted"):
        publish(node, volume_id)
    assert node.mounter.mounted_at(target_path(node.kubelet_dir, volume_id)) is None
