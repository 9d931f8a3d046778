"""Volumes: list, expand, modify, validate, capacity."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from csi_zfs.datasets.api import PoolFullError, UnsupportedFeatureError
from csi_zfs.domain.capabilities import VolumeCapability
from csi_zfs.domain.errors import InvalidRequestError, OutcomeUnknownError, OutOfRangeError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.model import CapacityReport
from csi_zfs.domain.parameters import UnknownParameterError
from csi_zfs.domain.sizes import GIB, MIB, CapacityRange
from csi_zfs.services.catalogue import VolumeNotFoundError
from csi_zfs.services.listing import BadTokenError
from csi_zfs.services.pools import PoolAwayError, Pools
from tests.support.builders import SIZE_BYTES, block_capability, mount_capability, volume_spec
from tests.support.node import POOL_BYTES, FakeNode
from tests.support.points import once, raising
from tests.support.pool_state import Room

UID = "0" * 15 + "1"
HERE = {"topology.csi-zfs.io/node": "node-1"}


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(volume_spec("pvc-1")).volume_id


def test_list_pages_through_all_volumes_by_id(node: FakeNode) -> None:
    made = [node.volumes.create(volume_spec(f"pvc-{i}")).volume_id for i in range(5)]
    ids = sorted(made, key=str)
    first = node.volumes.list(max_entries=2, starting_token="")
    assert [volume.volume_id for volume in first.entries] == ids[:2]
    node.volumes.delete(ids[1])  # the token outlives the volume that it names
    rest = node.volumes.list(max_entries=0, starting_token=first.next_token)
    assert [volume.volume_id for volume in rest.entries] == ids[2:]
    assert rest.next_token == ""


def test_list_is_refused_while_a_pool_is_away(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A5: what a list leaves out is taken not to exist."""
    volumes = replace(node.volumes, pools=Pools(node.pools, away_names=("slow",)))

    with pytest.raises(PoolAwayError, match="pool slow could not be opened"):
        volumes.list(max_entries=0, starting_token="")


def test_list_with_a_bad_token_is_aborted(node: FakeNode) -> None:
    """rules.md D."""
    with pytest.raises(BadTokenError):
        node.volumes.list(max_entries=2, starting_token="7")


def test_expand_grows_the_volume_and_a_repetition_changes_nothing(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md A9, A10."""
    for _ in range(2):
        expanded = node.volumes.expand(volume_id, CapacityRange(GIB - 1))
        assert (expanded.capacity_bytes, expanded.is_node_expansion_required) == (GIB, True)
        assert node.volumes.get(volume_id).capacity_bytes == GIB
        assert node.image(volume_id).size_bytes == GIB


@pytest.mark.parametrize("wanted", [CapacityRange(1), CapacityRange(), CapacityRange(1, GIB)])
def test_expand_to_less_reports_the_size_that_is(
    node: FakeNode, volume_id: VolumeId, wanted: CapacityRange
) -> None:
    """rules.md A10."""
    assert node.volumes.expand(volume_id, wanted).capacity_bytes == SIZE_BYTES
    assert node.image(volume_id).size_bytes == SIZE_BYTES


def test_expand_beyond_a_limit_is_out_of_range(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A9."""
    for wanted in (CapacityRange(1, SIZE_BYTES - 1), CapacityRange(GIB - 1, GIB - 1)):
        with pytest.raises(OutOfRangeError):
            node.volumes.expand(volume_id, wanted)
    assert node.image(volume_id).size_bytes == SIZE_BYTES


def test_expand_that_does_not_fit_changes_nothing(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A13."""
    with pytest.raises(PoolFullError):
        node.volumes.expand(volume_id, CapacityRange(POOL_BYTES + MIB))
    assert node.volumes.get(volume_id).capacity_bytes == SIZE_BYTES


@pytest.mark.parametrize("side", ["before", "after"])
def test_expand_whose_answer_was_lost_is_finished_by_its_repetition(
    node: FakeNode, volume_id: VolumeId, side: str
) -> None:
    """rules.md B1."""
    node.effects = once(f"resize:{side}", raising(OutcomeUnknownError("lost")))
    with pytest.raises(OutcomeUnknownError):
        node.volumes.expand(volume_id, CapacityRange(GIB))
    assert node.volumes.expand(volume_id, CapacityRange(GIB)).capacity_bytes == GIB
    assert node.volumes.get(volume_id).capacity_bytes == GIB
    assert node.image(volume_id).size_bytes == GIB


def test_calls_on_a_missing_volume_are_not_found(node: FakeNode) -> None:
    missing = VolumeId(node.pool.pool_id, "pvc-1", UID)
    with pytest.raises(VolumeNotFoundError):
        node.volumes.expand(missing, CapacityRange(GIB))
    with pytest.raises(VolumeNotFoundError):
        node.volumes.modify(missing, {})
    with pytest.raises(VolumeNotFoundError):
        node.volumes.validate(missing, [mount_capability()], {})


def test_modify_changes_what_the_pool_can_change(openzfs_node: FakeNode) -> None:
    volumes = openzfs_node.volumes
    volume_id = volumes.create(volume_spec(parameters={"recordsize": "16K"})).volume_id
    assert volumes.is_modify_supported
    for _ in range(2):
        volumes.modify(volume_id, {"compression": "zstd"})
    properties = {"compression": "zstd", "recordsize": "16K"}
    assert openzfs_node.dataset(volume_id).properties == properties
    with pytest.raises(UnsupportedFeatureError, match="recordsize"):
        volumes.modify(volume_id, {"recordsize": "4K", "compression": "lz4"})
    with pytest.raises(UnknownParameterError, match="compression"):
        volumes.modify(volume_id, {"compresion": "lz4"})
    assert openzfs_node.dataset(volume_id).properties == properties


def test_modify_where_the_pool_can_change_nothing_is_refused(reflink_node: FakeNode) -> None:
    volume_id = reflink_node.volumes.create(volume_spec()).volume_id
    assert not reflink_node.volumes.is_modify_supported
    with pytest.raises(UnsupportedFeatureError, match="pool-1"):
        reflink_node.volumes.modify(volume_id, {"compression": "zstd"})
    reflink_node.volumes.modify(volume_id, {"csi.storage.k8s.io/pvc/name": "data"})


@pytest.mark.parametrize(
    ("capabilities", "parameters", "refusal"),
    [
        ([mount_capability()], {}, ""),
        ([mount_capability("ext4"), mount_capability()], {"provisioning": "thick"}, ""),
        ([mount_capability()], {"csi.storage.k8s.io/pvc/name": "data"}, ""),
        ([mount_capability(), block_capability()], {}, "mount volume, not block"),
        ([mount_capability("xfs")], {}, "holds ext4, not xfs"),
        ([mount_capability()], {"provisioning": "thin"}, "other parameters"),
    ],
)
def test_validate_says_why_a_volume_cannot_be_used_so(
    node: FakeNode,
    capabilities: list[VolumeCapability],
    parameters: dict[str, str],
    refusal: str,
) -> None:
    volume = node.volumes.create(volume_spec(parameters={"provisioning": "thick"}))
    said = node.volumes.validate(volume.volume_id, capabilities, parameters)
    assert refusal in said
    assert bool(said) is bool(refusal)


def test_capacity_is_what_the_roomiest_matching_pool_takes(two_pools: FakeNode) -> None:
    two_pools.volumes.create(volume_spec("big", size_bytes=10 * GIB, parameters={"pool": "pool-1"}))

    def room(**parameters: str) -> CapacityReport:
        return two_pools.volumes.capacity(parameters=parameters, capabilities=[], topology=None)

    assert room() == CapacityReport(POOL_BYTES, POOL_BYTES, MIB)
    assert room(pool="pool-1").available_bytes == POOL_BYTES - 10 * GIB
    assert room(provisioning="thick").available_bytes == POOL_BYTES
    # Another node may have such a pool: the scheduler shall pass this one over.
    assert room(pool="fast") == CapacityReport(0, 0, MIB)


def test_capacity_of_a_class_counts_as_its_volumes_do(tmp_path: Path) -> None:
    """rules.md A13: thin volumes up to a ratio, thick ones at full size."""
    node = FakeNode(tmp_path, room=Room(10 * GIB, thin_ratio=Fraction(3)))

    def room(provisioning: str) -> int:
        return node.volumes.capacity(
            parameters={"provisioning": provisioning}, capabilities=[], topology=None
        ).available_bytes

    assert (room("thin"), room("thick")) == (30 * GIB, 10 * GIB)


def test_capacity_says_what_a_create_takes(node: FakeNode) -> None:
    """rules.md A13."""
    report = node.volumes.capacity(parameters={}, capabilities=[], topology=HERE)
    spec = volume_spec(size_bytes=report.maximum_volume_bytes)
    assert node.volumes.create(spec).capacity_bytes == report.maximum_volume_bytes


@pytest.mark.parametrize(
    ("capability", "minimum_bytes"),
    [
        (mount_capability("xfs"), 300 * MIB),
        (mount_capability(), 16 * MIB),
        (block_capability(), MIB),
    ],
)
def test_capacity_names_the_smallest_volume_of_the_kind(
    node: FakeNode, capability: VolumeCapability, minimum_bytes: int
) -> None:
    report = node.volumes.capacity(parameters={}, capabilities=[capability], topology=None)
    assert report.minimum_volume_bytes == minimum_bytes


@pytest.mark.parametrize("wrong", [{"colour": "red"}, {"provisioning": "thikc"}])
def test_class_that_no_create_takes_has_room(node: FakeNode, wrong: dict[str, str]) -> None:
    """With none, a scheduler holds the claim for want of room: nobody hears what to mend."""
    report = node.volumes.capacity(parameters=wrong, capabilities=[], topology=HERE)
    assert report == node.volumes.capacity(parameters={}, capabilities=[], topology=HERE)
    with pytest.raises(InvalidRequestError):
        node.volumes.create(volume_spec(parameters=wrong))


def test_capacity_of_another_node_is_nothing(node: FakeNode) -> None:
    topology = {"topology.csi-zfs.io/node": "node-2"}
    report = node.volumes.capacity(parameters={}, capabilities=[], topology=topology)
    assert (report.available_bytes, report.maximum_volume_bytes) == (0, 0)
