"""Health of volumes, pools and the driver, and the figures for the metrics page."""

import pytest

from csi_zfs.domain.capabilities import AccessMode
from csi_zfs.domain.ids import EphemeralId, VolumeId
from csi_zfs.domain.model import HealthFinding, HealthStatus, VolumeHealth
from csi_zfs.services.catalogue import VolumeNotFoundError
from csi_zfs.services.health import Health
from csi_zfs.services.listing import BadTokenError
from csi_zfs.services.pools import PoolNotServedError
from csi_zfs.services.statistics import PoolStatistics
from tests.support.builders import (
    EPHEMERAL_ID,
    ephemeral_spec,
    mount_capability,
    publish_spec,
    staging_path,
    target_path,
    volume_spec,
)
from tests.support.node import POOL_BYTES, FakeNode

UID = "0" * 15 + "1"
FULL = HealthFinding(HealthStatus.DEGRADED, "PoolAlmostFull", "2 % are free")


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    """A published volume."""
    made = node.volumes.create(volume_spec("pvc-1")).volume_id
    node.publishing.publish(publish_spec(node.kubelet_dir, made))
    return made


def health_of(node: FakeNode) -> Health:
    return node.services.health


def reasons(health: VolumeHealth) -> list[tuple[HealthStatus, str]]:
    return [(finding.status, finding.reason) for finding in health.findings]


def test_healthy_volume_has_no_findings(node: FakeNode, volume_id: VolumeId) -> None:
    assert health_of(node).volume(volume_id) == VolumeHealth(str(volume_id))
    idle = node.volumes.create(volume_spec("idle")).volume_id
    assert health_of(node).node_volume(idle, None) == VolumeHealth(str(idle))
    for path in (None, target_path(node.kubelet_dir, volume_id)):
        assert health_of(node).node_volume(volume_id, path) == VolumeHealth(str(volume_id))


def test_missing_volume_is_not_found(node: FakeNode) -> None:
    missing = VolumeId(node.pool.pool_id, "pvc-1", UID)
    with pytest.raises(VolumeNotFoundError):
        health_of(node).volume(missing)
    with pytest.raises(VolumeNotFoundError):
        health_of(node).node_volume(missing, None)
    with pytest.raises(PoolNotServedError):
        health_of(node).volume(VolumeId("f" * 16, "pvc-1", UID))
    with pytest.raises(VolumeNotFoundError):
        health_of(node).node_volume(EphemeralId(EPHEMERAL_ID), None)


def test_volume_has_the_findings_of_its_pool(node: FakeNode, volume_id: VolumeId) -> None:
    node.pool.findings = (FULL,)
    assert health_of(node).volume(volume_id).findings == (FULL,)
    assert health_of(node).node_volume(volume_id, None).findings == (FULL,)


def test_pool_that_is_away_is_a_finding_and_no_error(node: FakeNode, volume_id: VolumeId) -> None:
    """rules.md A5."""
    node.pool.is_available = False
    assert (HealthStatus.INACCESSIBLE, "PoolUnavailable") in reasons(
        health_of(node).volume(volume_id)
    )


@pytest.mark.expected_logs("v/pvc-1")
@pytest.mark.parametrize("has_restart", [False, True])
def test_damaged_record_is_a_finding_and_no_error(
    node: FakeNode, volume_id: VolumeId, *, has_restart: bool
) -> None:
    """rules.md A12, B8."""
    node.pool.damage("v/pvc-1")
    if has_restart:
        node.restart()
    found = reasons(health_of(node).volume(volume_id))
    assert found == [(HealthStatus.DATA_LOSS, "RecordDamaged")]


def test_list_names_only_volumes_with_findings_and_pages_through_them(
    two_pools: FakeNode,
) -> None:
    made = [two_pools.volumes.create(volume_spec(f"pvc-{i}")).volume_id for i in range(6)]
    health = health_of(two_pools)
    assert health.list(max_entries=0, starting_token="").entries == ()
    two_pools.pools[1].findings = (FULL,)
    ill = sorted(str(one) for one in made if one.pool_id == two_pools.pools[1].pool_id)
    first = health.list(max_entries=2, starting_token="")
    rest = health.list(max_entries=2, starting_token=first.next_token)
    assert [entry.volume_id for entry in (*first.entries, *rest.entries)] == ill
    assert rest.next_token == ""
    assert all(entry.findings == (FULL,) for entry in first.entries)
    with pytest.raises(BadTokenError):
        health.list(max_entries=2, starting_token="7")


def test_target_that_is_not_mounted_any_more_is_found(node: FakeNode, volume_id: VolumeId) -> None:
    target = target_path(node.kubelet_dir, volume_id)
    node.mounter.unmount(target)
    for path in (None, target):
        found = reasons(health_of(node).node_volume(volume_id, path))
        assert found == [(HealthStatus.INACCESSIBLE, "NotMounted")]
    assert reasons(health_of(node).node_volume(volume_id, node.kubelet_dir / "other")) == []


def test_file_system_that_turned_read_only_is_found(node: FakeNode, volume_id: VolumeId) -> None:
    node.mounter._at(staging_path(node.kubelet_dir, volume_id)).is_read_only = True
    found = health_of(node).node_volume(volume_id, None)
    assert (HealthStatus.DEGRADED, "FilesystemReadOnly") in reasons(found)


@pytest.mark.parametrize(
    ("mode", "is_read_only"),
    [(AccessMode.SINGLE_NODE_READER_ONLY, False), (AccessMode.SINGLE_NODE_WRITER, True)],
)
def test_target_that_was_asked_for_read_only_is_healthy(
    node: FakeNode, mode: AccessMode, *, is_read_only: bool
) -> None:
    capability = mount_capability(access_mode=mode)
    volume_id = node.volumes.create(volume_spec("pvc-1")).volume_id
    spec = publish_spec(node.kubelet_dir, volume_id, capability, is_read_only=is_read_only)
    node.publishing.publish(spec)
    assert health_of(node).node_volume(volume_id, spec.target_path).findings == ()


def test_ephemeral_volume_has_the_findings_of_its_mount(node: FakeNode) -> None:
    spec = ephemeral_spec(node.kubelet_dir)
    node.publishing.publish_ephemeral(spec)
    ephemeral_id = EphemeralId(EPHEMERAL_ID)
    assert health_of(node).node_volume(ephemeral_id, spec.target_path).findings == ()
    node.mounter.unmount(spec.target_path)
    found = reasons(health_of(node).node_volume(ephemeral_id, None))
    assert found == [(HealthStatus.INACCESSIBLE, "NotMounted")]


def test_storage_has_the_findings_of_each_pool_by_its_name(two_pools: FakeNode) -> None:
    two_pools.pools[1].findings = (FULL,)
    (finding,) = health_of(two_pools).storage()
    assert (finding.status, finding.reason) == (FULL.status, FULL.reason)
    assert finding.message == "pool pool-2: 2 % are free"


def test_driver_is_ready_while_one_pool_can_be_reached(two_pools: FakeNode) -> None:
    health = health_of(two_pools)
    two_pools.pools[0].findings = (FULL,)
    assert health.is_ready()
    two_pools.pools[0].is_available = False
    assert health.is_ready()
    two_pools.pools[1].is_available = False
    assert not health.is_ready()


def test_statistics_count_what_each_pool_has(two_pools: FakeNode) -> None:
    source = two_pools.volumes.create(volume_spec("a", parameters={"pool": "pool-1"})).volume_id
    two_pools.snapshots.create(snapshot_name="s", source_volume_id=source, parameters={})
    two_pools.pools[1].findings = (FULL,)
    first, second = two_pools.driver.statistics.read()
    assert first == PoolStatistics("pool-1", POOL_BYTES, POOL_BYTES, 1, 1, is_healthy=True)
    assert (second.pool_name, second.volumes, second.is_healthy) == ("pool-2", 0, False)


def test_statistics_of_a_pool_that_is_away_are_zero(node: FakeNode, volume_id: VolumeId) -> None:
    node.pool.is_available = False
    (figures,) = node.driver.statistics.read()
    assert (figures.total_bytes, figures.free_bytes, figures.is_healthy) == (0, 0, False)
    assert figures.volumes == 1
