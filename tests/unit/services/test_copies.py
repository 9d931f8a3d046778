"""Volumes from snapshots and from live volumes."""

from dataclasses import replace

import pytest

from csi_zfs.datasets.api import PoolFullError
from csi_zfs.domain.errors import NoSpaceError, OutcomeUnknownError, OutOfRangeError
from csi_zfs.domain.ids import SnapshotId, VolumeId
from csi_zfs.domain.model import ContentSource
from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.services.catalogue import SnapshotNotFoundError, VolumeNotFoundError
from csi_zfs.services.creation import (
    DifferentVolumeError,
    OtherTopologyError,
    SourceOnOtherPoolError,
)
from csi_zfs.services.locks import LockTakenError
from csi_zfs.services.pools import PoolAwayError, Pools
from tests.support.builders import (
    SIZE_BYTES,
    block_capability,
    mount_capability,
    publish_spec,
    stage_spec,
    volume_spec,
)
from tests.support.node import POOL_BYTES, FakeNode
from tests.support.points import once, raising

UID = "0" * 15 + "1"


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    """A volume that holds a file."""
    volume_id = node.volumes.create(volume_spec("source")).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, volume_id))
    node.image(volume_id).content["file"] = b"before"
    return volume_id


@pytest.fixture
def snapshot_id(node: FakeNode, volume_id: VolumeId) -> SnapshotId:
    return node.snapshots.create(
        snapshot_name="snap-1", source_volume_id=volume_id, parameters={}
    ).snapshot_id


@pytest.fixture(params=["snapshot_id", "volume_id"])
def source(request: pytest.FixtureRequest) -> ContentSource:
    """A snapshot, or a live volume, with the same content."""
    found: ContentSource = request.getfixturevalue(request.param)
    return found


def test_copy_holds_the_data_and_goes_its_own_way(
    node: FakeNode, volume_id: VolumeId, source: ContentSource
) -> None:
    copy = node.volumes.create(volume_spec("copy", content_source=source))
    assert copy.content_source == source
    node.image(volume_id).content["file"] = b"after"
    assert node.image(copy.volume_id).content == {"file": b"before"}
    node.image(copy.volume_id).content["file"] = b"mine"
    assert node.image(volume_id).content == {"file": b"after"}


def test_copy_repeated_is_the_same_volume(node: FakeNode, source: ContentSource) -> None:
    """rules.md B1."""
    spec = volume_spec("copy", content_source=source)
    copy = node.volumes.create(spec)
    assert node.volumes.create(spec) == copy
    node.restart()
    assert node.volumes.create(spec) == copy
    for other in (volume_spec("copy"), volume_spec("copy", content_source=copy.volume_id)):
        with pytest.raises(DifferentVolumeError, match="content_source"):
            node.volumes.create(other)


@pytest.mark.parametrize("side", ["before", "after"])
def test_copy_whose_answer_was_lost_is_found_by_its_repetition(
    node: FakeNode, source: ContentSource, side: str
) -> None:
    """rules.md B1, B7."""
    node.effects = once(f"clone:{side}", raising(OutcomeUnknownError("lost")))
    spec = volume_spec("copy", content_source=source)
    with pytest.raises(OutcomeUnknownError):
        node.volumes.create(spec)
    copy = node.volumes.create(spec)
    assert node.dataset(copy.volume_id).uid == copy.volume_id.uid


@pytest.mark.parametrize(
    ("asked_bytes", "made_bytes"), [(0, SIZE_BYTES), (1, SIZE_BYTES), (GIB, GIB)]
)
def test_copy_is_as_large_as_asked_and_never_smaller_than_its_source(
    node: FakeNode, source: ContentSource, asked_bytes: int, made_bytes: int
) -> None:
    """rules.md A9."""
    spec = volume_spec("copy", size_bytes=asked_bytes, content_source=source)
    copy = node.volumes.create(spec)
    assert copy.capacity_bytes == made_bytes == node.image(copy.volume_id).size_bytes


def test_copy_with_a_limit_below_its_source_is_out_of_range(
    node: FakeNode, source: ContentSource
) -> None:
    spec = volume_spec("copy", size_bytes=MIB, limit_bytes=32 * MIB, content_source=source)
    with pytest.raises(OutOfRangeError):
        node.volumes.create(spec)
    assert "v/copy" not in node.names()


def test_copy_grows_its_file_system_when_it_is_staged_first(
    node: FakeNode, source: ContentSource
) -> None:
    """rules.md D: restore into a larger volume."""
    spec = volume_spec("copy", size_bytes=GIB, content_source=source)
    copy = node.volumes.create(spec).volume_id
    assert node.image(copy).fs_size_bytes == SIZE_BYTES
    node.publishing.stage(stage_spec(node.kubelet_dir, copy))
    assert node.image(copy).fs_size_bytes == GIB
    assert node.image(copy).content == {"file": b"before"}


def test_copy_keeps_the_properties_of_its_source_and_takes_those_of_its_class(
    openzfs_node: FakeNode,
) -> None:
    """rules.md A8."""
    node = openzfs_node
    properties = {"compression": "lz4", "recordsize": "16K"}
    source = node.volumes.create(volume_spec("source", parameters=properties)).volume_id
    copy = node.volumes.create(
        volume_spec("copy", parameters={"compression": "zstd"}, content_source=source)
    )
    assert node.dataset(copy.volume_id).properties == properties | {"compression": "zstd"}


def test_copy_of_what_is_proved_absent_is_not_found(node: FakeNode) -> None:
    pool_id = node.pool.pool_id
    with pytest.raises(SnapshotNotFoundError):
        node.volumes.create(volume_spec(content_source=SnapshotId(pool_id, "gone", UID)))
    with pytest.raises(VolumeNotFoundError):
        node.volumes.create(volume_spec(content_source=VolumeId(pool_id, "gone", UID)))
    assert node.names() == set()


def test_copy_of_what_is_on_another_node_lets_the_scheduler_choose_again(node: FakeNode) -> None:
    """rules.md B10, A5: it may well exist, so it is not "not found"."""
    for source in (SnapshotId("f" * 16, "s", UID), VolumeId("f" * 16, "v", UID)):
        with pytest.raises(OtherTopologyError, match="another node") as caught:
            node.volumes.create(volume_spec(content_source=source))
        assert isinstance(caught.value, NoSpaceError)


def test_copy_of_what_may_be_on_a_pool_that_is_away_is_not_refused_for_good(
    node: FakeNode,
) -> None:
    """rules.md B10: RESOURCE_EXHAUSTED would say that no earlier call made the copy."""
    creation = replace(node.volumes.creation, pools=Pools(node.pools, away_names=("slow",)))

    with pytest.raises(PoolAwayError, match="pool slow could not be opened"):
        creation.create(volume_spec(content_source=VolumeId("f" * 16, "v", UID)))


def test_copy_to_another_pool_than_its_sources_is_refused(two_pools: FakeNode) -> None:
    source = two_pools.volumes.create(volume_spec("source", parameters={"pool": "pool-1"}))
    spec = volume_spec("copy", parameters={"pool": "pool-2"}, content_source=source.volume_id)
    with pytest.raises(SourceOnOtherPoolError, match="pool-1"):
        two_pools.volumes.create(spec)
    spec = volume_spec("copy", parameters={"pool": "pool-*"}, content_source=source.volume_id)
    assert two_pools.volumes.create(spec).volume_id.pool_id == source.volume_id.pool_id


def test_copy_that_does_not_fit_changes_nothing(node: FakeNode, source: ContentSource) -> None:
    """rules.md A13."""
    names = node.names()
    spec = volume_spec("copy", size_bytes=POOL_BYTES + MIB, content_source=source)
    with pytest.raises(PoolFullError):
        node.volumes.create(spec)
    assert node.names() == names


def test_copy_while_its_source_is_worked_on_is_aborted(
    node: FakeNode, volume_id: VolumeId, source: ContentSource
) -> None:
    refused: list[LockTakenError] = []

    def copy() -> None:
        try:
            node.volumes.create(volume_spec("copy", content_source=source))
        except LockTakenError as exc:
            refused.append(exc)

    node.effects = once("resize:before", copy)
    node.volumes.expand(volume_id, volume_spec(size_bytes=GIB).capacity_range)
    assert len(refused) == 1
    assert "v/copy" not in node.names()


def test_source_stays_in_place_while_it_is_copied(node: FakeNode, source: ContentSource) -> None:
    refused: list[LockTakenError] = []

    def delete() -> None:
        try:
            if isinstance(source, SnapshotId):
                node.snapshots.delete(source)
            else:
                node.volumes.delete(source)
        except LockTakenError as exc:
            refused.append(exc)

    node.effects = once("clone:before", delete)
    node.volumes.create(volume_spec("copy", content_source=source))
    assert len(refused) == 1


def test_copies_of_one_source_go_on_side_by_side(node: FakeNode, source: ContentSource) -> None:
    node.effects = once(
        "clone:before",
        lambda: node.volumes.create(volume_spec("copy-2", content_source=source)),
    )
    node.volumes.create(volume_spec("copy-1", content_source=source))
    assert {"v/copy-1", "v/copy-2"} <= node.names()


def test_extents_are_observed_where_a_live_volume_is_copied(
    node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId
) -> None:
    node.pool.extent_counts["v/source"] = 4711
    node.extents.clear()
    node.volumes.create(volume_spec("copy-1", content_source=snapshot_id))
    assert node.extents == []
    node.volumes.create(volume_spec("copy-2", content_source=volume_id))
    assert node.extents == [0 if node.pool.features.dependent_clones else 4711]


def test_block_copy_of_a_file_system_and_back(
    node: FakeNode, volume_id: VolumeId, source: ContentSource
) -> None:
    """rules.md A4: no format on the way, whatever the copies are made as."""
    block = node.volumes.create(
        volume_spec("block", capability=block_capability(), content_source=source)
    )
    back = node.volumes.create(
        volume_spec("back", capability=mount_capability("ext4"), content_source=block.volume_id)
    )
    node.publishing.stage(stage_spec(node.kubelet_dir, back.volume_id))
    assert node.image(back.volume_id).content == node.image(volume_id).content
