import pytest

from csi_zfs.domain.capabilities import AccessMode, AccessType, VolumeCapability
from csi_zfs.domain.ids import InvalidIdError
from csi_zfs.domain.model import ContentSource
from csi_zfs.domain.secrets import Secrets, SecretUse
from csi_zfs.domain.sizes import GIB, CapacityRange
from csi_zfs.rpc import requests
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.requests.controller import Listing
from csi_zfs.rpc.requests.fields import InvalidFieldError, MissingFieldError, UnknownIdError
from csi_zfs.rpc.requests.snapshots import NewGroupSnapshot, NewSnapshot, SnapshotListing
from tests.support.services import GROUP_ID, OTHER_VOLUME_ID, SNAPSHOT_ID, VOLUME_ID
from tests.unit.rpc import examples
from tests.unit.rpc.examples import Mode, mount_capability

WRITER = VolumeCapability(AccessMode.SINGLE_NODE_WRITER, AccessType.MOUNT)


def test_create_volume_with_the_least_leaves_the_rest_open() -> None:
    spec = requests.parse_create_volume(examples.create_volume())
    assert (spec.volume_name, spec.capabilities) == ("pvc-1", (WRITER,))
    assert spec.capacity_range == CapacityRange()
    assert spec.content_source is None
    assert (spec.requisite_topologies, spec.preferred_topologies) == ((), ())


def test_create_volume_with_everything_keeps_everything() -> None:
    request = examples.create_volume()
    request.capacity_range.required_bytes = GIB
    request.parameters["pool"] = "fast"
    request.mutable_parameters["compression"] = "lz4"
    request.accessibility_requirements.requisite.add(segments={"zone": "a"})
    request.accessibility_requirements.preferred.add(segments={"zone": "b"})
    spec = requests.parse_create_volume(request)
    assert spec.capacity_range == CapacityRange(GIB)
    assert (spec.parameters, spec.mutable_parameters) == ({"pool": "fast"}, {"compression": "lz4"})
    assert spec.requisite_topologies == ({"zone": "a"},)
    assert spec.preferred_topologies == ({"zone": "b"},)


@pytest.mark.parametrize("field", ["name", "volume_capabilities"])
def test_create_volume_without_a_required_field_is_missing(field: str) -> None:
    request = examples.create_volume()
    request.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(MissingFieldError, match=field):
        requests.parse_create_volume(request)


@pytest.mark.parametrize("source", [SNAPSHOT_ID, VOLUME_ID])
def test_create_volume_from_a_source_keeps_it(source: ContentSource) -> None:
    request = examples.create_volume()
    if source == SNAPSHOT_ID:
        request.volume_content_source.snapshot.snapshot_id = str(source)
    else:
        request.volume_content_source.volume.volume_id = str(source)
    assert requests.parse_create_volume(request).content_source == source


@pytest.mark.parametrize("kind", ["snapshot", "volume"])
def test_create_volume_from_an_unknown_source_is_not_found(kind: str) -> None:
    request = examples.create_volume()
    source = getattr(request.volume_content_source, kind)
    setattr(source, f"{kind}_id", "non-existing-id")
    with pytest.raises(UnknownIdError):
        requests.parse_create_volume(request)


@pytest.mark.parametrize("kind", ["snapshot", "volume"])
def test_create_volume_from_a_source_without_id_is_missing(kind: str) -> None:
    request = examples.create_volume()
    getattr(request.volume_content_source, kind).SetInParent()
    with pytest.raises(MissingFieldError, match=f"{kind}_id"):
        requests.parse_create_volume(request)


def test_create_volume_from_a_source_of_no_kind_is_missing() -> None:
    request = examples.create_volume()
    request.volume_content_source.SetInParent()
    with pytest.raises(MissingFieldError, match="volume_content_source"):
        requests.parse_create_volume(request)


def test_delete_volume_of_ours_is_its_id() -> None:
    request = csi_pb2.DeleteVolumeRequest(volume_id=str(VOLUME_ID))
    assert requests.parse_delete_volume(request) == VOLUME_ID


def test_delete_volume_of_an_invalid_id_has_nothing_to_do() -> None:
    """rules.md D: csi-sanity wants OK."""
    assert requests.parse_delete_volume(csi_pb2.DeleteVolumeRequest(volume_id="fake")) is None


def test_delete_volume_without_id_is_missing() -> None:
    with pytest.raises(MissingFieldError):
        requests.parse_delete_volume(csi_pb2.DeleteVolumeRequest())


def test_get_volume_takes_ours_only() -> None:
    request = csi_pb2.ControllerGetVolumeRequest(volume_id=str(VOLUME_ID))
    assert requests.parse_volume_id(request) == VOLUME_ID
    with pytest.raises(UnknownIdError):
        requests.parse_volume_id(csi_pb2.ControllerGetVolumeRequest(volume_id="fake"))
    with pytest.raises(MissingFieldError):
        requests.parse_volume_id(csi_pb2.ControllerGetVolumeHealthRequest())


def test_listing_keeps_page_and_token() -> None:
    request = csi_pb2.ListVolumesRequest(max_entries=3, starting_token="t")
    assert requests.parse_listing(request) == Listing(3, "t")


def test_listing_of_a_negative_number_of_entries_is_invalid() -> None:
    with pytest.raises(InvalidFieldError, match="max_entries"):
        requests.parse_listing(csi_pb2.ListVolumesRequest(max_entries=-1))


def test_expand_volume_keeps_id_and_range() -> None:
    request = examples.expand_volume()
    request.volume_capability.CopyFrom(mount_capability())
    request.secrets["encryptionKey"] = "k"
    secrets = Secrets(SecretUse.CONTROLLER_EXPAND, {"encryptionKey": "k"})
    assert requests.parse_expand_volume(request) == (VOLUME_ID, CapacityRange(GIB), secrets)


@pytest.mark.parametrize("field", ["volume_id", "capacity_range"])
def test_expand_volume_without_a_required_field_is_missing(field: str) -> None:
    request = examples.expand_volume()
    request.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(MissingFieldError, match=field):
        requests.parse_expand_volume(request)


def test_expand_volume_to_no_size_is_missing() -> None:
    request = examples.expand_volume()
    request.capacity_range.required_bytes = 0
    with pytest.raises(MissingFieldError, match="required_bytes"):
        requests.parse_expand_volume(request)


def test_expand_volume_with_a_bad_capability_is_missing() -> None:
    request = examples.expand_volume()
    request.volume_capability.SetInParent()
    with pytest.raises(MissingFieldError, match="access_mode"):
        requests.parse_expand_volume(request)


def test_modify_volume_keeps_id_and_parameters() -> None:
    request = csi_pb2.ControllerModifyVolumeRequest(
        volume_id=str(VOLUME_ID), mutable_parameters={"compression": "lz4"}
    )
    assert requests.parse_modify_volume(request) == (VOLUME_ID, {"compression": "lz4"})


def test_modify_volume_of_an_unknown_volume_is_not_found_whatever_the_parameters() -> None:
    """csi-sanity asks so with the parameters that it was given, which may be none."""
    with pytest.raises(UnknownIdError):
        requests.parse_modify_volume(csi_pb2.ControllerModifyVolumeRequest(volume_id="fake"))


def test_modify_volume_without_parameters_is_missing() -> None:
    request = csi_pb2.ControllerModifyVolumeRequest(volume_id=str(VOLUME_ID))
    with pytest.raises(MissingFieldError, match="mutable_parameters"):
        requests.parse_modify_volume(request)


def test_validate_capabilities_keeps_the_question_without_metadata() -> None:
    request = examples.validate_capabilities()
    request.parameters["pool"] = "slow"
    request.mutable_parameters["pool"] = "fast"
    request.volume_context["mine"] = "1"
    request.volume_context[examples.TOKENS] = "canary"
    question = requests.parse_validate_capabilities(request)
    assert (question.volume_id, question.capabilities) == (VOLUME_ID, (WRITER,))
    # Mutable parameters go before parameters, says the specification.
    assert (question.parameters, question.volume_context) == ({"pool": "fast"}, {"mine": "1"})
    assert question.refusal == ""


def test_validate_capabilities_that_no_volume_has_is_a_refusal_and_no_error() -> None:
    request = examples.validate_capabilities()
    request.volume_capabilities.append(mount_capability(mode=Mode.MULTI_NODE_MULTI_WRITER))
    question = requests.parse_validate_capabilities(request)
    assert question.volume_id == VOLUME_ID
    assert "MULTI_NODE_MULTI_WRITER" in question.refusal


@pytest.mark.parametrize("field", ["volume_id", "volume_capabilities"])
def test_validate_capabilities_without_a_required_field_is_missing(field: str) -> None:
    request = examples.validate_capabilities()
    request.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(MissingFieldError, match=field):
        requests.parse_validate_capabilities(request)


def test_get_capacity_of_nothing_in_particular_is_open() -> None:
    question = requests.parse_get_capacity(csi_pb2.GetCapacityRequest())
    assert (question.parameters, question.capabilities, question.topology) == ({}, (), None)


def test_get_capacity_keeps_what_is_asked_for() -> None:
    request = csi_pb2.GetCapacityRequest(
        parameters={"pool": "fast"},
        volume_capabilities=[mount_capability()],
        accessible_topology=csi_pb2.Topology(segments={"zone": "a"}),
    )
    question = requests.parse_get_capacity(request)
    assert (question.parameters, question.capabilities) == ({"pool": "fast"}, (WRITER,))
    assert question.topology == {"zone": "a"}


def test_create_snapshot_keeps_name_source_and_parameters() -> None:
    request = examples.create_snapshot()
    request.parameters["k"] = "v"
    assert requests.parse_create_snapshot(request) == NewSnapshot("snap-1", VOLUME_ID, {"k": "v"})


@pytest.mark.parametrize("field", ["name", "source_volume_id"])
def test_create_snapshot_without_a_required_field_is_missing(field: str) -> None:
    request = examples.create_snapshot()
    request.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(MissingFieldError, match=field):
        requests.parse_create_snapshot(request)


def test_create_snapshot_of_an_unknown_volume_is_not_found() -> None:
    request = csi_pb2.CreateSnapshotRequest(name="n", source_volume_id="fake")
    with pytest.raises(UnknownIdError):
        requests.parse_create_snapshot(request)


def test_create_snapshot_with_a_topology_is_invalid() -> None:
    request = examples.create_snapshot()
    request.accessibility_requirements.SetInParent()
    with pytest.raises(InvalidFieldError, match="accessibility_requirements"):
        requests.parse_create_snapshot(request)


def test_delete_snapshot_takes_ours_and_ignores_others() -> None:
    """rules.md D: csi-sanity wants OK for an invalid id."""
    ours = csi_pb2.DeleteSnapshotRequest(snapshot_id=str(SNAPSHOT_ID))
    assert requests.parse_delete_snapshot(ours) == SNAPSHOT_ID
    fake = csi_pb2.DeleteSnapshotRequest(snapshot_id="reallyfakesnapshotid")
    assert requests.parse_delete_snapshot(fake) is None
    with pytest.raises(MissingFieldError):
        requests.parse_delete_snapshot(csi_pb2.DeleteSnapshotRequest())


def test_get_snapshot_takes_ours_only() -> None:
    ours = csi_pb2.GetSnapshotRequest(snapshot_id=str(SNAPSHOT_ID))
    assert requests.parse_get_snapshot(ours) == SNAPSHOT_ID
    with pytest.raises(UnknownIdError):
        requests.parse_get_snapshot(csi_pb2.GetSnapshotRequest(snapshot_id="none-exist-id"))
    with pytest.raises(MissingFieldError):
        requests.parse_get_snapshot(csi_pb2.GetSnapshotRequest())


def test_list_snapshots_without_filters_lets_all_pass() -> None:
    asked = requests.parse_list_snapshots(csi_pb2.ListSnapshotsRequest(max_entries=2))
    assert asked == SnapshotListing(Listing(2, ""), None, None)


def test_list_snapshots_keeps_its_filters() -> None:
    asked = requests.parse_list_snapshots(
        csi_pb2.ListSnapshotsRequest(source_volume_id=str(VOLUME_ID), snapshot_id=str(SNAPSHOT_ID))
    )
    assert asked == SnapshotListing(Listing(0, ""), VOLUME_ID, SNAPSHOT_ID)


@pytest.mark.parametrize("field", ["source_volume_id", "snapshot_id"])
def test_list_snapshots_of_an_unknown_id_lets_none_pass(field: str) -> None:
    """rules.md D: csi-sanity wants an empty list."""
    request = csi_pb2.ListSnapshotsRequest()
    setattr(request, field, "none-exist-id")
    assert requests.parse_list_snapshots(request) is None


def test_create_group_keeps_name_sources_and_parameters() -> None:
    request = examples.create_group_snapshot()
    request.source_volume_ids.append(str(OTHER_VOLUME_ID))
    request.parameters["k"] = "v"
    asked = requests.parse_create_group_snapshot(request)
    assert asked == NewGroupSnapshot("group-1", (VOLUME_ID, OTHER_VOLUME_ID), {"k": "v"})


@pytest.mark.parametrize("field", ["name", "source_volume_ids"])
def test_create_group_without_a_required_field_is_missing(field: str) -> None:
    request = examples.create_group_snapshot()
    request.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(MissingFieldError, match=field):
        requests.parse_create_group_snapshot(request)


def test_create_group_of_a_volume_twice_is_invalid() -> None:
    request = examples.create_group_snapshot()
    request.source_volume_ids.append(str(VOLUME_ID))
    with pytest.raises(InvalidFieldError, match="twice"):
        requests.parse_create_group_snapshot(request)


def test_create_group_of_an_unknown_volume_is_not_found() -> None:
    request = examples.create_group_snapshot()
    request.source_volume_ids.append("fake")
    with pytest.raises(UnknownIdError):
        requests.parse_create_group_snapshot(request)


def test_delete_group_keeps_id_and_members() -> None:
    asked = requests.parse_delete_group_snapshot(examples.delete_group_snapshot())
    assert asked == (GROUP_ID, (SNAPSHOT_ID,))


def test_delete_group_of_an_invalid_id_has_nothing_to_do() -> None:
    """csi-sanity wants OK, though it names no member."""
    request = csi_pb2.DeleteVolumeGroupSnapshotRequest(group_snapshot_id="fake-vol-id")
    assert requests.parse_delete_group_snapshot(request) is None


@pytest.mark.parametrize("field", ["group_snapshot_id", "snapshot_ids"])
def test_delete_group_without_a_required_field_is_missing(field: str) -> None:
    request = examples.delete_group_snapshot()
    request.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(MissingFieldError, match=field):
        requests.parse_delete_group_snapshot(request)


def test_get_group_keeps_id_and_members() -> None:
    asked = requests.parse_get_group_snapshot(examples.get_group_snapshot())
    assert asked == (GROUP_ID, (SNAPSHOT_ID,))


def test_get_group_of_an_unknown_id_is_not_found_though_it_names_no_member() -> None:
    request = csi_pb2.GetVolumeGroupSnapshotRequest(group_snapshot_id="fake-vol-id")
    with pytest.raises(UnknownIdError):
        requests.parse_get_group_snapshot(request)


@pytest.mark.parametrize("field", ["group_snapshot_id", "snapshot_ids"])
def test_get_group_without_a_required_field_is_missing(field: str) -> None:
    request = examples.get_group_snapshot()
    request.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(MissingFieldError, match=field):
        requests.parse_get_group_snapshot(request)


def test_get_group_with_a_member_that_is_none_of_ours_is_invalid() -> None:
    """A list that does not match is INVALID_ARGUMENT, says the specification."""
    request = examples.get_group_snapshot()
    request.snapshot_ids.append("fake")
    with pytest.raises(InvalidIdError):
        requests.parse_get_group_snapshot(request)
