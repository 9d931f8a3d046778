"""Empty volumes: what is made, how large, where; and what a repeated request finds."""

import pytest

from csi_zfs.datasets.api import (
    DatasetExistsError,
    NewDataset,
    PoolFullError,
    UnsupportedFeatureError,
)
from csi_zfs.domain.capabilities import VolumeCapability
from csi_zfs.domain.errors import OutcomeUnknownError, OutOfRangeError
from csi_zfs.domain.ids import SnapshotId
from csi_zfs.domain.model import CreateVolumeSpec
from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.services.creation import DifferentVolumeError, OtherTopologyError
from csi_zfs.services.locks import LockTakenError
from csi_zfs.services.pools import NoSuchPoolError
from tests.support.builders import SIZE_BYTES, block_capability, mount_capability, volume_spec
from tests.support.node import POOL_BYTES, FakeNode
from tests.support.points import once, raising

POOL_ID = "0" * 15 + "1"
HERE = {"topology.csi-zfs.io/node": "node-1"}
ELSEWHERE = {"topology.csi-zfs.io/node": "node-2"}


def test_create_makes_a_volume_of_the_size_in_whole_mib(node: FakeNode) -> None:
    """rules.md A9: and says the true size."""
    volume = node.volumes.create(volume_spec(size_bytes=SIZE_BYTES - 1))
    assert volume.capacity_bytes == SIZE_BYTES == node.image(volume.volume_id).size_bytes
    assert (volume.volume_name, volume.fs_type) == ("pvc-1", "ext4")
    assert node.volumes.get(volume.volume_id) == volume
    assert node.names() == {"v/pvc-1"}


def test_create_without_a_size_takes_the_default(node: FakeNode) -> None:
    assert node.volumes.create(volume_spec(size_bytes=0)).capacity_bytes == GIB


@pytest.mark.parametrize(
    ("capability", "minimum_bytes"),
    [
        (mount_capability("xfs"), 300 * MIB),
        (mount_capability("ext4"), 16 * MIB),
        (block_capability(), MIB),
    ],
)
def test_create_makes_at_least_what_the_file_system_needs(
    node: FakeNode, capability: VolumeCapability, minimum_bytes: int
) -> None:
    """rules.md A9."""
    spec = volume_spec(size_bytes=1, capability=capability)
    assert node.volumes.create(spec).capacity_bytes == minimum_bytes


def test_create_below_a_limit_that_is_too_small_is_out_of_range(node: FakeNode) -> None:
    """rules.md A9."""
    spec = volume_spec(size_bytes=1, limit_bytes=299 * MIB, capability=mount_capability("xfs"))
    with pytest.raises(OutOfRangeError, match="300 MiB"):
        node.volumes.create(spec)
    assert node.names() == set()


def test_create_with_a_name_of_any_characters_works(node: FakeNode) -> None:
    """rules.md C1, D."""
    name = "../..\0/@%,\n" + "é" * 50
    volume = node.volumes.create(volume_spec(name))
    assert volume.volume_name == name
    assert volume.volume_id.leaf.startswith("h-")
    assert node.volumes.create(volume_spec(name)) == volume


def test_create_repeated_returns_the_same_volume(node: FakeNode) -> None:
    """rules.md B1."""
    spec = volume_spec(parameters={"provisioning": "thick"}, requisite_topologies=[HERE])
    volume = node.volumes.create(spec)
    assert node.volumes.create(spec) == volume
    node.restart()
    assert node.volumes.create(spec) == volume
    assert node.names() == {"v/pvc-1"}


@pytest.mark.parametrize(
    "spec",
    [
        volume_spec(size_bytes=SIZE_BYTES - MIB),
        volume_spec(size_bytes=0),
        volume_spec(limit_bytes=GIB),
        volume_spec(capability=mount_capability("ext4", mount_flags=["noatime"])),
        volume_spec(parameters={"csi.storage.k8s.io/pvc/name": "data"}),
    ],
)
def test_create_with_what_the_volume_satisfies_returns_it(
    node: FakeNode, spec: CreateVolumeSpec
) -> None:
    volume = node.volumes.create(volume_spec())
    assert node.volumes.create(spec) == volume


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (volume_spec(size_bytes=SIZE_BYTES + 1), "capacity"),
        (volume_spec(size_bytes=0, limit_bytes=SIZE_BYTES - MIB), "capacity"),
        (volume_spec(capability=block_capability()), "access type"),
        (volume_spec(capability=mount_capability("xfs")), "fs_type"),
        (volume_spec(parameters={"provisioning": "thin"}), "parameters"),
        (volume_spec(content_source=SnapshotId(POOL_ID, "s", "1" * 16)), "content_source"),
        (volume_spec(size_bytes=GIB, capability=mount_capability("xfs")), "capacity, fs_type"),
    ],
)
def test_create_of_a_taken_name_says_which_field_differs(
    node: FakeNode, spec: CreateVolumeSpec, field: str
) -> None:
    """rules.md B1."""
    node.volumes.create(volume_spec())
    with pytest.raises(DifferentVolumeError, match=field):
        node.volumes.create(spec)
    assert node.names() == {"v/pvc-1"}


def test_create_that_allows_only_other_nodes_is_refused_with_words(node: FakeNode) -> None:
    """rules.md B10: RESOURCE_EXHAUSTED makes the scheduler choose again."""
    with pytest.raises(OtherTopologyError, match="node-1"):
        node.volumes.create(volume_spec(requisite_topologies=[ELSEWHERE]))
    node.volumes.create(volume_spec(requisite_topologies=[ELSEWHERE, HERE]))
    assert node.names() == {"v/pvc-1"}


def test_create_thick_reserves_and_thin_does_not(node: FakeNode) -> None:
    """rules.md A13."""
    thick = node.volumes.create(volume_spec("thick", parameters={"provisioning": "thick"}))
    thin = node.volumes.create(volume_spec("thin"))
    assert node.dataset(thick.volume_id).is_thick
    assert not node.dataset(thin.volume_id).is_thick


def test_create_that_does_not_fit_changes_nothing(node: FakeNode) -> None:
    """rules.md A13."""
    with pytest.raises(PoolFullError):
        node.volumes.create(volume_spec(size_bytes=POOL_BYTES + MIB))
    assert node.names() == set()
    assert node.volumes.list(max_entries=0, starting_token="").entries == ()


def test_create_sets_the_properties_of_both_classes(openzfs_node: FakeNode) -> None:
    node = openzfs_node
    spec = volume_spec(
        parameters={"recordsize": "16K", "compression": "lz4"},
        mutable_parameters={"compression": "zstd"},
    )
    volume = node.volumes.create(spec)
    properties = node.dataset(volume.volume_id).properties
    assert properties == {"recordsize": "16K", "compression": "zstd"}
    assert node.volumes.create(spec) == volume


def test_create_with_a_property_that_the_pool_lacks_changes_nothing(node: FakeNode) -> None:
    with pytest.raises(UnsupportedFeatureError, match="logbias"):
        node.volumes.create(volume_spec(parameters={"logbias": "latency"}))
    assert node.names() == set()


def test_create_while_the_name_is_worked_on_is_aborted(node: FakeNode) -> None:
    """rules.md B1: two at once give the result of one."""
    refused: list[LockTakenError] = []

    def again() -> None:
        try:
            node.volumes.create(volume_spec())
        except LockTakenError as exc:
            refused.append(exc)

    node.effects = once("create:before", again)
    volume = node.volumes.create(volume_spec())
    assert len(refused) == 1
    assert node.volumes.create(volume_spec()) == volume


@pytest.mark.parametrize("side", ["before", "after"])
def test_create_whose_answer_was_lost_is_found_by_its_repetition(node: FakeNode, side: str) -> None:
    """rules.md B1, B7: without a restart in between."""
    node.effects = once(f"create:{side}", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        node.volumes.create(volume_spec())
    volume = node.volumes.create(volume_spec())
    assert node.dataset(volume.volume_id).uid == volume.volume_id.uid
    assert node.names() == {"v/pvc-1"}


def test_create_of_a_name_that_was_made_by_hand_leaves_it_alone(node: FakeNode) -> None:
    """rules.md A2."""
    node.pool.create(NewDataset("v/pvc-1", MIB))
    with pytest.raises(DatasetExistsError, match="v/pvc-1"):
        node.volumes.create(volume_spec())
    assert node.pool.get("v/pvc-1").user_properties == {}


# --- several pools ---


def test_create_takes_the_roomiest_pool(two_pools: FakeNode) -> None:
    ids = [two_pools.volumes.create(volume_spec(name)).volume_id for name in ("a", "b", "c", "d")]
    used = [volume_id.pool_id for volume_id in ids]
    assert sorted(used) == sorted([pool.pool_id for pool in two_pools.pools] * 2)


def test_create_with_a_pool_parameter_takes_that_pool(two_pools: FakeNode) -> None:
    for name in ("a", "b"):
        volume = two_pools.volumes.create(volume_spec(name, parameters={"pool": "pool-2"}))
        assert volume.volume_id.pool_id == two_pools.pools[1].pool_id
    with pytest.raises(NoSuchPoolError, match="pool-1, pool-2"):
        two_pools.volumes.create(volume_spec("c", parameters={"pool": "fast"}))


def test_create_tries_the_next_pool_where_one_turns_out_to_be_full(two_pools: FakeNode) -> None:
    two_pools.effects = once("create:before", raising(PoolFullError("full in this moment")))
    assert two_pools.volumes.create(volume_spec()).volume_id.pool_id == two_pools.pools[1].pool_id


def test_create_that_fits_no_pool_changes_nothing(two_pools: FakeNode) -> None:
    with pytest.raises(PoolFullError):
        two_pools.volumes.create(volume_spec(size_bytes=POOL_BYTES + MIB))
    assert two_pools.names() == set()


def test_create_whose_answer_was_lost_is_found_on_the_pool_that_has_it(two_pools: FakeNode) -> None:
    """rules.md B1: though another pool is the roomiest by now."""
    two_pools.effects = once("create:after", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        two_pools.volumes.create(volume_spec())
    volume = two_pools.volumes.create(volume_spec())
    assert two_pools.dataset(volume.volume_id).uid == volume.volume_id.uid
    assert len([entry for pool in two_pools.pools for entry in pool.list()]) == 1
