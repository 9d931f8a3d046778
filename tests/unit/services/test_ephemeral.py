"""Inline ephemeral volumes: made at publish, gone after unpublish, whatever lies between."""

from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.datasets.api import PoolFullError, PoolUnavailableError
from csi_zfs.domain.capabilities import AccessMode, VolumeCapability
from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.domain.ids import EphemeralId, VolumeId
from csi_zfs.domain.parameters import UnknownParameterError
from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.mount.api import DeviceBusyError, TargetNotFoundError
from csi_zfs.services.ephemeral import BlockEphemeralError, DifferentEphemeralError
from csi_zfs.services.locks import LockTakenError
from csi_zfs.services.uses import PathOfOtherVolumeError
from tests.support.builders import (
    EPHEMERAL_ID,
    block_capability,
    ephemeral_spec,
    mount_capability,
    publish_spec,
    volume_spec,
)
from tests.support.node import POOL_BYTES, FakeNode
from tests.support.points import nothing, once, raising

ID = EphemeralId(EPHEMERAL_ID)
OTHER_ID = EphemeralId("csi-" + "f" * 64)


def publish(node: FakeNode, **parameters: str) -> Path:
    spec = ephemeral_spec(node.kubelet_dir, parameters=parameters)
    node.publishing.publish_ephemeral(spec)
    return spec.target_path


def unpublish(node: FakeNode, ephemeral_id: EphemeralId = ID) -> None:
    node.publishing.unpublish(ephemeral_id, ephemeral_spec(node.kubelet_dir).target_path)


def assert_nothing_is_left(node: FakeNode) -> None:
    assert node.names() == set()
    assert node.disk.images == {}
    assert node.state_store.documents == {}
    assert not ephemeral_spec(node.kubelet_dir).target_path.exists()


def published_volume(node: FakeNode) -> tuple[VolumeId, Path]:
    volume_id = node.volumes.create(volume_spec()).volume_id
    spec = publish_spec(node.kubelet_dir, volume_id)
    node.publishing.publish(spec)
    return volume_id, spec.target_path


def test_publish_makes_a_file_system_and_unpublish_takes_it_away(node: FakeNode) -> None:
    target = publish(node)
    mounted = node.mounter.mounted_at(target)
    assert mounted is not None
    assert (mounted.fs_type, mounted.is_read_only) == ("ext4", False)
    (image,) = node.disk.images.values()
    assert (image.size_bytes, image.fs_size_bytes) == (GIB, GIB)
    unpublish(node)
    assert_nothing_is_left(node)


@pytest.mark.parametrize(
    ("parameters", "fs_type", "size_bytes"),
    [
        ({"size": "2Gi"}, "", 2 * GIB),
        ({"size": "1"}, "", 16 * MIB),
        ({"size": "1Mi"}, "xfs", 300 * MIB),
        ({"size": "64Mi", "provisioning": "thick", "pool": "pool-*"}, "", 64 * MIB),
    ],
)
def test_publish_makes_what_the_attributes_ask_for(
    node: FakeNode, parameters: dict[str, str], fs_type: str, size_bytes: int
) -> None:
    """rules.md A9."""
    node.publishing.publish_ephemeral(
        ephemeral_spec(
            node.kubelet_dir, capability=mount_capability(fs_type), parameters=parameters
        )
    )
    (dataset,) = node.pool.list()
    assert not isinstance(dataset, Exception)
    assert dataset.size_bytes == size_bytes
    assert dataset.is_thick is ("provisioning" in parameters)


def test_publish_with_an_unknown_attribute_changes_nothing(node: FakeNode) -> None:
    """rules.md C2."""
    with pytest.raises(UnknownParameterError, match="did you mean 'size'"):
        publish(node, sise="1Gi")
    assert_nothing_is_left(node)


def test_publish_of_a_block_device_is_refused(node: FakeNode) -> None:
    with pytest.raises(BlockEphemeralError):
        node.publishing.publish_ephemeral(
            ephemeral_spec(node.kubelet_dir, capability=block_capability())
        )
    assert_nothing_is_left(node)


def test_publish_that_does_not_fit_changes_nothing(node: FakeNode) -> None:
    """rules.md A13."""
    with pytest.raises(PoolFullError):
        publish(node, size=str(POOL_BYTES + MIB))
    assert_nothing_is_left(node)


def test_publish_on_several_pools_takes_the_next_where_one_turns_out_to_be_full(
    two_pools: FakeNode,
) -> None:
    two_pools.effects = once("create:before", raising(PoolFullError("full in this moment")))
    publish(two_pools)
    assert [len(list(pool.list())) for pool in two_pools.pools] == [0, 1]


def test_publish_repeated_is_the_same_volume_with_its_data(node: FakeNode) -> None:
    """rules.md B1."""
    publish(node)
    (image,) = node.disk.images.values()
    image.content["file"] = b"data"
    points: list[str] = []
    for restart in (nothing, node.restart):
        restart()
        node.effects = points.append
        publish(node)
    assert points == []
    assert list(node.disk.images.values()) == [image]


@pytest.mark.parametrize(
    ("capability", "is_read_only"),
    [
        (mount_capability(), True),
        (mount_capability(access_mode=AccessMode.SINGLE_NODE_READER_ONLY), False),
    ],
)
def test_publish_read_only_is_mounted_so(
    node: FakeNode, capability: VolumeCapability, *, is_read_only: bool
) -> None:
    spec = ephemeral_spec(node.kubelet_dir, capability=capability, is_read_only=is_read_only)
    node.publishing.publish_ephemeral(spec)
    mounted = node.mounter.mounted_at(spec.target_path)
    assert mounted is not None
    assert mounted.is_read_only


def test_publish_again_at_another_path_or_in_another_way_is_refused(node: FakeNode) -> None:
    """rules.md B1."""
    publish(node)
    spec = ephemeral_spec(node.kubelet_dir)
    for other in (
        replace(spec, target_path=node.kubelet_dir / "elsewhere"),
        replace(spec, is_read_only=True),
        replace(spec, capability=mount_capability(mount_flags=["noatime"])),
    ):
        with pytest.raises(DifferentEphemeralError):
            node.publishing.publish_ephemeral(other)


def test_two_volumes_do_not_know_each_other(node: FakeNode) -> None:
    publish(node)
    node.publishing.publish_ephemeral(ephemeral_spec(node.kubelet_dir, str(OTHER_ID), pod="pod-2"))
    assert len(node.names()) == 2
    unpublish(node)
    assert len(node.names()) == 1
    assert len(node.state_store.documents) == 1


def test_path_of_another_volume_is_refused_and_left_alone(node: FakeNode) -> None:
    """rules.md A6."""
    _volume_id, target = published_volume(node)
    names = node.names()
    spec = replace(ephemeral_spec(node.kubelet_dir), target_path=target)
    with pytest.raises(PathOfOtherVolumeError):
        node.publishing.publish_ephemeral(spec)
    with pytest.raises(PathOfOtherVolumeError):
        node.publishing.unpublish(ID, target)
    assert node.mounter.mounted_at(target)
    assert node.names() == names


def test_unpublish_repeated_and_of_what_was_never_there_is_no_error(node: FakeNode) -> None:
    """rules.md B3, B5."""
    unpublish(node)
    publish(node)
    for restart in (nothing, node.restart, nothing):
        unpublish(node)
        restart()
    assert_nothing_is_left(node)


def test_unpublish_finds_what_to_delete_on_the_pool_alone(two_pools: FakeNode) -> None:
    """architecture.md, section 3: no memory but the pool's is needed."""
    publish(two_pools, pool="pool-2")
    two_pools.state_store.documents.clear()
    two_pools.restart()
    unpublish(two_pools)
    assert_nothing_is_left(two_pools)


def test_unpublish_while_a_pool_is_away_lets_the_pod_go_and_is_finished_later(
    two_pools: FakeNode,
) -> None:
    """rules.md A5, B5: the volume may be on that pool."""
    target = publish(two_pools, pool="pool-2")
    two_pools.pools[1].is_available = False
    with pytest.raises(PoolUnavailableError):
        unpublish(two_pools)
    assert two_pools.mounter.mounted_at(target) is None
    two_pools.pools[1].is_available = True
    unpublish(two_pools)
    assert_nothing_is_left(two_pools)


def test_unpublish_at_another_path_does_not_destroy_what_is_mounted(node: FakeNode) -> None:
    """rules.md B4."""
    target = publish(node)
    with pytest.raises(DeviceBusyError):
        node.publishing.unpublish(ID, node.kubelet_dir / "elsewhere")
    assert node.mounter.mounted_at(target)
    assert len(node.names()) == 1


@pytest.mark.parametrize(
    "point",
    ["create", "state.save", "set_user_properties", "attach", "format", "mount"],
)
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("has_restart", [False, True])
def test_publish_that_was_cut_short_is_finished_or_undone(
    node: FakeNode, point: str, side: str, *, has_restart: bool
) -> None:
    """rules.md B1, B7."""
    for finish in (publish, unpublish):
        node.effects = once(f"{point}:{side}", raising(OutcomeUnknownError("cut short")))
        with pytest.raises(OutcomeUnknownError):
            publish(node)
        if has_restart:
            node.restart()
        finish(node)
        unpublish(node)
        assert_nothing_is_left(node)


@pytest.mark.parametrize("point", ["unmount", "remove", "detach", "destroy", "state.remove"])
@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("has_restart", [False, True])
def test_unpublish_that_was_cut_short_is_finished_by_its_repetition(
    node: FakeNode, point: str, side: str, *, has_restart: bool
) -> None:
    """rules.md B1, B7."""
    publish(node)
    node.effects = once(f"{point}:{side}", raising(OutcomeUnknownError("cut short")))
    with pytest.raises(OutcomeUnknownError):
        unpublish(node)
    if has_restart:
        node.restart()
    unpublish(node)
    assert_nothing_is_left(node)


def test_calls_on_a_volume_that_is_worked_on_are_aborted(node: FakeNode) -> None:
    refused: list[LockTakenError] = []

    def again() -> None:
        for call in (publish, unpublish):
            try:
                call(node)
            except LockTakenError as exc:
                refused.append(exc)

    node.effects = once("create:before", again)
    publish(node)
    assert len(refused) == 2


def test_usage_is_that_of_the_file_system(node: FakeNode) -> None:
    target = publish(node)
    (total, _inodes) = node.publishing.usage(ID, target)
    assert total.total == GIB
    with pytest.raises(TargetNotFoundError):
        node.publishing.usage(OTHER_ID, target)
