"""Each handler asks its service for the right thing and answers with what it says."""

from pathlib import Path

import grpc
import pytest
from google.protobuf.message import Message

from csi_zfs.domain.errors import UnavailableError
from csi_zfs.domain.model import EphemeralSpec, Page, PublishSpec
from csi_zfs.domain.secrets import Secrets, SecretUse
from csi_zfs.domain.sizes import GIB, CapacityRange
from csi_zfs.rpc import requests, responses
from csi_zfs.rpc.generated import csi_pb2
from tests.support.services import (
    EPHEMERAL_ID,
    FINDING,
    GROUP,
    GROUP_ID,
    IDENTITY,
    OTHER_VOLUME_ID,
    SNAPSHOT,
    SNAPSHOT_ID,
    VOLUME,
    VOLUME_ID,
    RecordingServices,
)
from tests.unit.rpc import examples
from tests.unit.rpc.calling import METHODS, AbortedError, DirectDriver
from tests.unit.rpc.examples import STAGING_PATH, TARGET_PATH

UNIMPLEMENTED = {"ControllerPublishVolume", "ControllerUnpublishVolume"}
TOPOLOGY = IDENTITY.topology


@pytest.fixture
def recording() -> RecordingServices:
    return RecordingServices()


@pytest.fixture
def driver(recording: RecordingServices) -> DirectDriver:
    return DirectDriver(recording)


def test_driver_answers_every_method_but_those_of_remote_storage(driver: DirectDriver) -> None:
    assert set(METHODS) - set(driver.methods) == UNIMPLEMENTED


def test_get_plugin_info_says_name_and_version(driver: DirectDriver) -> None:
    info = driver.call("GetPluginInfo", csi_pb2.GetPluginInfoRequest())
    assert (info.name, info.vendor_version) == ("csi-zfs.example.io", "1.2.3")


def test_get_plugin_capabilities_names_services_topology_and_expansion(
    driver: DirectDriver,
) -> None:
    answer = driver.call("GetPluginCapabilities", csi_pb2.GetPluginCapabilitiesRequest())
    service = csi_pb2.PluginCapability.Service
    assert [capability.service.type for capability in answer.capabilities[:-1]] == [
        service.CONTROLLER_SERVICE,
        service.GROUP_CONTROLLER_SERVICE,
        service.VOLUME_ACCESSIBILITY_CONSTRAINTS,
    ]
    expansion = answer.capabilities[-1].volume_expansion
    assert expansion.type == csi_pb2.PluginCapability.VolumeExpansion.ONLINE


@pytest.mark.parametrize("ready", [True, False])
def test_probe_says_whether_the_driver_is_ready(
    recording: RecordingServices, driver: DirectDriver, *, ready: bool
) -> None:
    recording.health.ready = ready
    answer = driver.call("Probe", csi_pb2.ProbeRequest())
    assert answer.HasField("ready")
    assert answer.ready.value is ready


@pytest.mark.parametrize("is_supported", [True, False])
def test_controller_capabilities_name_modify_only_where_it_works(
    recording: RecordingServices, driver: DirectDriver, *, is_supported: bool
) -> None:
    recording.volumes.is_modify_supported = is_supported
    answer = driver.call("ControllerGetCapabilities", csi_pb2.ControllerGetCapabilitiesRequest())
    rpc = csi_pb2.ControllerServiceCapability.RPC
    names = [rpc.Type.Name(capability.rpc.type) for capability in answer.capabilities]
    assert names[:12] == [
        "CREATE_DELETE_VOLUME",
        "LIST_VOLUMES",
        "GET_CAPACITY",
        "CREATE_DELETE_SNAPSHOT",
        "LIST_SNAPSHOTS",
        "GET_SNAPSHOT",
        "CLONE_VOLUME",
        "EXPAND_VOLUME",
        "GET_VOLUME",
        "SINGLE_NODE_MULTI_WRITER",
        "GET_VOLUME_HEALTH",
        "LIST_VOLUME_HEALTH",
    ]
    assert names[12:] == (["MODIFY_VOLUME"] if is_supported else [])


def test_node_capabilities_name_no_mount_group(driver: DirectDriver) -> None:
    """rules.md D."""
    answer = driver.call("NodeGetCapabilities", csi_pb2.NodeGetCapabilitiesRequest())
    rpc = csi_pb2.NodeServiceCapability.RPC
    assert [rpc.Type.Name(capability.rpc.type) for capability in answer.capabilities] == [
        "STAGE_UNSTAGE_VOLUME",
        "GET_VOLUME_STATS",
        "EXPAND_VOLUME",
        "SINGLE_NODE_MULTI_WRITER",
        "GET_VOLUME_HEALTH",
        "GET_STORAGE_HEALTH",
    ]


def test_group_capabilities_name_group_snapshots(driver: DirectDriver) -> None:
    answer = driver.call(
        "GroupControllerGetCapabilities", csi_pb2.GroupControllerGetCapabilitiesRequest()
    )
    rpc = csi_pb2.GroupControllerServiceCapability.RPC
    assert [capability.rpc.type for capability in answer.capabilities] == [
        rpc.CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT
    ]


def test_node_get_info_says_who_and_where(driver: DirectDriver) -> None:
    info = driver.call("NodeGetInfo", csi_pb2.NodeGetInfoRequest())
    assert (info.node_id, dict(info.accessible_topology.segments)) == ("node-1", dict(TOPOLOGY))


def test_create_volume_makes_what_was_asked_for(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    request = examples.create_volume()
    answer = driver.call("CreateVolume", request)
    assert recording.calls == [("create", (requests.parse_create_volume(request),))]
    assert answer.volume == responses.volume(VOLUME, TOPOLOGY)


def test_delete_volume_deletes_ours(recording: RecordingServices, driver: DirectDriver) -> None:
    driver.call("DeleteVolume", csi_pb2.DeleteVolumeRequest(volume_id=str(VOLUME_ID)))
    assert recording.calls == [("delete", (VOLUME_ID,))]


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("DeleteVolume", csi_pb2.DeleteVolumeRequest(volume_id="fake")),
        ("DeleteSnapshot", csi_pb2.DeleteSnapshotRequest(snapshot_id="fake")),
        (
            "DeleteVolumeGroupSnapshot",
            csi_pb2.DeleteVolumeGroupSnapshotRequest(group_snapshot_id="fake"),
        ),
        ("ListSnapshots", csi_pb2.ListSnapshotsRequest(snapshot_id="fake")),
    ],
)
def test_call_with_an_id_that_cannot_be_ours_asks_nobody(
    recording: RecordingServices, driver: DirectDriver, method: str, request_: Message
) -> None:
    """rules.md C1 and D."""
    assert driver.call(method, request_).ByteSize() == 0
    assert recording.calls == []


def test_get_volume_answers_with_a_status(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    request = csi_pb2.ControllerGetVolumeRequest(volume_id=str(VOLUME_ID))
    answer = driver.call("ControllerGetVolume", request)
    assert recording.calls == [("get", (VOLUME_ID,))]
    assert answer.volume == responses.volume(VOLUME, TOPOLOGY)
    assert answer.HasField("status")


def test_list_volumes_keeps_page_and_token(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    recording.volumes.page = Page((VOLUME,), "next")
    request = csi_pb2.ListVolumesRequest(max_entries=1, starting_token="now")
    answer = driver.call("ListVolumes", request)
    assert recording.calls == [("list", (1, "now"))]
    assert (len(answer.entries), answer.next_token) == (1, "next")


def test_expand_volume_says_size_and_what_is_left_to_do(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    answer = driver.call("ControllerExpandVolume", examples.expand_volume())
    assert recording.calls == [
        ("expand", (VOLUME_ID, CapacityRange(GIB), Secrets(SecretUse.CONTROLLER_EXPAND)))
    ]
    assert (answer.capacity_bytes, answer.node_expansion_required) == (2 * GIB, True)


def test_modify_volume_passes_parameters_on(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    request = csi_pb2.ControllerModifyVolumeRequest(
        volume_id=str(VOLUME_ID), mutable_parameters={"compression": "lz4"}
    )
    driver.call("ControllerModifyVolume", request)
    assert recording.calls == [("modify", (VOLUME_ID, {"compression": "lz4"}))]


def test_validate_capabilities_that_fit_confirms(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    request = examples.validate_capabilities()
    answer = driver.call("ValidateVolumeCapabilities", request)
    question = requests.parse_validate_capabilities(request)
    assert recording.calls == [("validate", (VOLUME_ID, question.capabilities, {}))]
    assert list(answer.confirmed.volume_capabilities) == list(request.volume_capabilities)


def test_validate_capabilities_that_do_not_fit_says_why(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    recording.volumes.refusal = "it is a block volume"
    answer = driver.call("ValidateVolumeCapabilities", examples.validate_capabilities())
    assert (answer.HasField("confirmed"), answer.message) == (False, "it is a block volume")


def test_validate_capabilities_that_nobody_has_still_asks_for_the_volume(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    """NOT_FOUND goes before "not confirmed"."""
    request = examples.validate_capabilities()
    request.volume_capabilities[0].mount.fs_type = "ntfs"
    answer = driver.call("ValidateVolumeCapabilities", request)
    assert recording.calls == [("validate", (VOLUME_ID, (), {}))]
    assert "ntfs" in answer.message


def test_get_capacity_says_room_and_bounds(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    answer = driver.call("GetCapacity", csi_pb2.GetCapacityRequest(parameters={"pool": "fast"}))
    assert recording.calls == [("capacity", ({"pool": "fast"}, (), None))]
    assert (answer.available_capacity, answer.maximum_volume_size.value) == (10 * GIB, 5 * GIB)


def test_create_snapshot_takes_it(recording: RecordingServices, driver: DirectDriver) -> None:
    answer = driver.call("CreateSnapshot", examples.create_snapshot())
    assert recording.calls == [("create", ("snap-1", VOLUME_ID, {}))]
    assert answer.snapshot == responses.snapshot(SNAPSHOT)


def test_delete_and_get_snapshot_name_it(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    driver.call("DeleteSnapshot", csi_pb2.DeleteSnapshotRequest(snapshot_id=str(SNAPSHOT_ID)))
    request = csi_pb2.GetSnapshotRequest(snapshot_id=str(SNAPSHOT_ID))
    answer = driver.call("GetSnapshot", request)
    assert recording.calls == [("delete", (SNAPSHOT_ID,)), ("get", (SNAPSHOT_ID,))]
    assert answer.snapshot == responses.snapshot(SNAPSHOT)


def test_list_snapshots_passes_its_filters_on(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    request = csi_pb2.ListSnapshotsRequest(
        max_entries=1,
        starting_token="now",
        source_volume_id=str(VOLUME_ID),
        snapshot_id=str(SNAPSHOT_ID),
    )
    answer = driver.call("ListSnapshots", request)
    assert recording.calls == [("list", (1, "now", VOLUME_ID, SNAPSHOT_ID))]
    assert [entry.snapshot.snapshot_id for entry in answer.entries] == [str(SNAPSHOT_ID)]


def test_volume_health_is_that_of_the_volume(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    request = csi_pb2.ControllerGetVolumeHealthRequest(volume_id=str(VOLUME_ID))
    answer = driver.call("ControllerGetVolumeHealth", request)
    assert recording.calls == [("volume", (VOLUME_ID,))]
    assert answer.volume_health.health_statuses[0].reason == FINDING.reason


def test_list_volume_health_pages(recording: RecordingServices, driver: DirectDriver) -> None:
    request = csi_pb2.ControllerListVolumeHealthRequest(max_entries=1, starting_token="now")
    answer = driver.call("ControllerListVolumeHealth", request)
    assert recording.calls == [("list", (1, "now"))]
    assert [entry.volume_id for entry in answer.entries] == [str(VOLUME_ID)]


def test_create_group_takes_all_sources(recording: RecordingServices, driver: DirectDriver) -> None:
    request = examples.create_group_snapshot()
    request.source_volume_ids.append(str(OTHER_VOLUME_ID))
    answer = driver.call("CreateVolumeGroupSnapshot", request)
    assert recording.calls == [("create", ("group-1", (VOLUME_ID, OTHER_VOLUME_ID), {}))]
    assert answer.group_snapshot == responses.group_snapshot(GROUP)


def test_delete_and_get_group_name_its_members(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    driver.call("DeleteVolumeGroupSnapshot", examples.delete_group_snapshot())
    answer = driver.call("GetVolumeGroupSnapshot", examples.get_group_snapshot())
    members = (GROUP_ID, (SNAPSHOT_ID,))
    assert recording.calls == [("delete", members), ("get", members)]
    assert answer.group_snapshot == responses.group_snapshot(GROUP)


def test_node_calls_pass_ids_and_paths_on(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    """One life of a volume on a node."""
    driver.call("NodeStageVolume", examples.stage())
    driver.call("NodePublishVolume", examples.publish())
    expanded = driver.call("NodeExpandVolume", examples.node_expand())
    driver.call("NodeUnpublishVolume", examples.unpublish())
    driver.call("NodeUnstageVolume", examples.unstage())
    target, staging = Path(TARGET_PATH), Path(STAGING_PATH)
    node = requests.NodeRequests(Path(examples.KUBELET_DIR))
    assert recording.calls == [
        ("stage", (node.parse_stage(examples.stage()),)),
        ("publish", (node.parse_publish(examples.publish()),)),
        ("expand", (VOLUME_ID, target, CapacityRange())),
        ("unpublish", (VOLUME_ID, target)),
        ("unstage", (VOLUME_ID, staging)),
    ]
    assert expanded.capacity_bytes == 2 * GIB


def test_publish_tells_ephemeral_volumes_from_others(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    driver.call("NodePublishVolume", examples.publish_ephemeral())
    driver.call("NodePublishVolume", examples.publish())
    (first, (ephemeral,)), (second, (provisioned,)) = recording.calls
    assert (first, second) == ("publish_ephemeral", "publish")
    assert isinstance(ephemeral, EphemeralSpec)
    assert ephemeral.ephemeral_id == str(EPHEMERAL_ID)
    assert isinstance(provisioned, PublishSpec)


def test_node_stats_answer_bytes_and_inodes(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    answer = driver.call("NodeGetVolumeStats", examples.stats())
    assert recording.calls == [("usage", (VOLUME_ID, Path(TARGET_PATH)))]
    assert [usage.unit for usage in answer.usage] == [
        csi_pb2.VolumeUsage.BYTES,
        csi_pb2.VolumeUsage.INODES,
    ]


def test_node_health_of_volume_and_of_storage(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    volume = driver.call("NodeGetVolumeHealth", examples.node_health())
    storage = driver.call("NodeGetStorageHealth", csi_pb2.NodeGetStorageHealthRequest())
    assert recording.calls == [("node_volume", (VOLUME_ID, None)), ("storage", ())]
    assert volume.volume_health.health_statuses[0].reason == FINDING.reason
    assert storage.backend_health[0].reason == FINDING.reason


def test_failure_of_a_service_is_its_status(
    recording: RecordingServices, driver: DirectDriver
) -> None:
    recording.fail_with(UnavailableError("pool fast is not imported"))
    with pytest.raises(AbortedError) as caught:
        driver.call("CreateVolume", examples.create_volume())
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert caught.value.details == "pool fast is not imported"
