from dataclasses import replace

import pytest

from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.model import (
    CapacityReport,
    HealthFinding,
    HealthStatus,
    Page,
    Usage,
    UsageUnit,
    VolumeHealth,
)
from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.rpc import responses
from csi_zfs.rpc.generated import csi_pb2
from tests.support.services import (
    GROUP,
    GROUP_ID,
    OTHER_VOLUME_ID,
    POOL_ID,
    SNAPSHOT,
    SNAPSHOT_ID,
    VOLUME,
    VOLUME_ID,
)
from tests.unit.rpc import examples

TOPOLOGY = {"topology.csi-zfs.io/node": "node-1"}
MESSAGE_LIMIT_BYTES = 4 * MIB
Backend = csi_pb2.NodeGetStorageHealthResponse.StorageBackendHealth


def test_volume_says_id_size_and_where_it_can_be_reached() -> None:
    built = responses.volume(VOLUME, TOPOLOGY)
    assert (built.volume_id, built.capacity_bytes) == (str(VOLUME_ID), GIB)
    assert [dict(topology.segments) for topology in built.accessible_topology] == [TOPOLOGY]
    assert not built.HasField("content_source")


def test_volume_from_a_snapshot_echoes_its_source() -> None:
    """rules.md D."""
    built = responses.volume(replace(VOLUME, content_source=SNAPSHOT_ID), TOPOLOGY)
    assert built.content_source.snapshot.snapshot_id == str(SNAPSHOT_ID)


def test_volume_from_a_volume_echoes_its_source() -> None:
    built = responses.volume(replace(VOLUME, content_source=OTHER_VOLUME_ID), TOPOLOGY)
    assert built.content_source.volume.volume_id == str(OTHER_VOLUME_ID)


def test_volume_keeps_its_context() -> None:
    built = responses.volume(replace(VOLUME, volume_context={"k": "v"}), TOPOLOGY)
    assert dict(built.volume_context) == {"k": "v"}


def test_snapshot_is_ready_and_keeps_its_time_to_the_nanosecond() -> None:
    """rules.md B2: the size is that of a restore, never 0."""
    built = responses.snapshot(SNAPSHOT)
    assert (built.snapshot_id, built.source_volume_id) == (str(SNAPSHOT_ID), str(VOLUME_ID))
    assert (built.size_bytes, built.ready_to_use, built.group_snapshot_id) == (GIB, True, "")
    assert built.creation_time.ToNanoseconds() == SNAPSHOT.created_ns


def test_group_snapshot_has_its_id_in_every_member() -> None:
    built = responses.group_snapshot(GROUP)
    assert built.group_snapshot_id == str(GROUP_ID)
    assert [member.group_snapshot_id for member in built.snapshots] == [str(GROUP_ID)]
    assert built.ready_to_use
    assert built.creation_time.ToNanoseconds() == GROUP.created_ns


def test_listing_that_fits_keeps_the_token_of_its_page() -> None:
    built = responses.list_volumes(Page((VOLUME,), "next"), TOPOLOGY)
    assert [entry.volume.volume_id for entry in built.entries] == [str(VOLUME_ID)]
    assert built.next_token == "next"


def test_listing_of_nothing_has_no_token() -> None:
    assert responses.list_snapshots(Page(())) == csi_pb2.ListSnapshotsResponse()


def test_listing_beyond_the_message_limit_is_cut_behind_the_last_entry_that_fits() -> None:
    """rules.md D: ListSnapshots without a maximum, beyond the limit of a message."""
    context = {"k": "v" * 4096}
    volumes = tuple(
        replace(VOLUME, volume_id=VolumeId(POOL_ID, f"v{i}", f"{i:016x}"), volume_context=context)
        for i in range(1000)
    )
    built = responses.list_volumes(Page(volumes), TOPOLOGY)
    assert responses.MAX_PAGE_BYTES - 8192 < built.ByteSize() < MESSAGE_LIMIT_BYTES
    assert built.next_token == built.entries[-1].volume.volume_id
    assert built.next_token == str(volumes[len(built.entries) - 1].volume_id)


def test_listing_of_one_huge_entry_is_not_empty() -> None:
    """An empty page with a token would never end."""
    huge = replace(VOLUME, volume_context={"k": "v" * responses.MAX_PAGE_BYTES})
    built = responses.list_volumes(Page((huge, VOLUME)), TOPOLOGY)
    assert len(built.entries) == 1
    assert built.next_token == str(VOLUME_ID)


def test_list_volume_health_pages_by_volume_id() -> None:
    finding = HealthFinding(HealthStatus.DEGRADED, "PoolFull", "m" * MIB)
    ill = tuple(VolumeHealth(f"volume-{i}", (finding,)) for i in range(5))
    built = responses.list_volume_health(Page(ill))
    assert built.next_token == built.entries[-1].volume_id == "volume-1"


@pytest.mark.parametrize("status", list(HealthStatus))
def test_volume_health_has_the_status_of_the_same_name(status: HealthStatus) -> None:
    built = responses.volume_health(VolumeHealth("v", (HealthFinding(status, "R", "m"),)))
    entry = built.health_statuses[0]
    assert csi_pb2.VolumeHealthErrorType.Name(entry.status) == status
    assert (entry.reason, entry.message) == ("R", "m")


def test_volume_health_of_a_healthy_volume_has_no_entry() -> None:
    assert responses.volume_health(VolumeHealth("v")).volume_id == "v"
    assert not responses.volume_health(VolumeHealth("v")).health_statuses


def test_storage_health_puts_equal_findings_of_two_pools_together() -> None:
    """CSI allows one entry for each status and reason."""
    built = responses.storage_health(
        [
            HealthFinding(HealthStatus.DEGRADED, "PoolFull", "a is full"),
            HealthFinding(HealthStatus.INACCESSIBLE, "PoolAway", "c is away"),
            HealthFinding(HealthStatus.DEGRADED, "PoolFull", "b is full"),
        ]
    )
    assert list(built.backend_health) == [
        Backend(status=csi_pb2.STORAGE_DEGRADED, reason="PoolFull", message="a is full; b is full"),
        Backend(status=csi_pb2.STORAGE_UNREACHABLE, reason="PoolAway", message="c is away"),
    ]


def test_storage_health_knows_every_status() -> None:
    findings = [HealthFinding(status, status.value, "m") for status in HealthStatus]
    built = responses.storage_health(findings)
    assert [entry.status for entry in built.backend_health] == [
        csi_pb2.STORAGE_DEGRADED,
        csi_pb2.STORAGE_UNREACHABLE,
        csi_pb2.STORAGE_DEGRADED,
    ]


def test_capability_answer_confirms_everything_that_was_asked() -> None:
    request = examples.validate_capabilities()
    request.parameters["pool"] = "fast"
    request.mutable_parameters["compression"] = "lz4"
    request.volume_context["k"] = "v"
    confirmed = responses.capability_answer(request, "").confirmed
    assert list(confirmed.volume_capabilities) == list(request.volume_capabilities)
    assert confirmed.parameters == request.parameters
    assert confirmed.mutable_parameters == request.mutable_parameters
    assert confirmed.volume_context == request.volume_context


def test_capability_answer_that_refuses_confirms_nothing() -> None:
    built = responses.capability_answer(examples.validate_capabilities(), "it is a block volume")
    assert not built.HasField("confirmed")
    assert built.message == "it is a block volume"


def test_capacity_says_largest_and_smallest_volume() -> None:
    built = responses.capacity(CapacityReport(10, 5, 0))
    assert (built.available_capacity, built.maximum_volume_size.value) == (10, 5)
    assert built.HasField("minimum_volume_size")


def test_volume_stats_keep_units_and_figures() -> None:
    built = responses.volume_stats([Usage(UsageUnit.INODES, total=10, used=3, available=7)])
    usage = built.usage[0]
    assert usage.unit == csi_pb2.VolumeUsage.INODES
    assert (usage.total, usage.used, usage.available) == (10, 3, 7)
