import pytest

from csi_zfs.domain.capabilities import AccessMode, AccessType, UnsupportedCapabilityError
from csi_zfs.domain.ids import EphemeralId, SnapshotId, VolumeId
from csi_zfs.domain.sizes import GIB, CapacityRange, InvalidSizeError
from csi_zfs.rpc.generated import csi_pb2
from csi_zfs.rpc.requests.capabilities import (
    MAX_MOUNT_FLAGS_BYTES,
    parse_capabilities,
    parse_capability,
)
from csi_zfs.rpc.requests.fields import (
    MAX_MAP_BYTES,
    MAX_NAME_BYTES,
    InvalidFieldError,
    MissingFieldError,
    UnknownIdError,
    parse_capacity_range,
    parse_id_if_ours,
    parse_known_id,
    parse_map,
    parse_name,
    parse_node_volume_id,
    parse_topology,
    require_fields,
)
from tests.support.services import EPHEMERAL_ID, SNAPSHOT_ID, VOLUME_ID
from tests.unit.rpc.examples import Mode, block_capability, create_volume, mount_capability

HOSTILE_IDS = [
    "../../etc/passwd",
    "zfs1:0123456789abcdef:v:../x:1111111111111111",
    f"{VOLUME_ID}\n",
    f"{VOLUME_ID}\0",
    f"{VOLUME_ID}@snap",
    f"{VOLUME_ID}%2f",
    f"-{VOLUME_ID}",
    f"{VOLUME_ID},{VOLUME_ID}",
    str(VOLUME_ID).upper(),
    str(VOLUME_ID).replace("pvc-1", "D-0123456789abcdef"),
    "z" * 5000,
]


@pytest.mark.parametrize("field", ["name", "volume_capabilities"])
def test_require_fields_without_a_field_names_it(field: str) -> None:
    request = create_volume()
    request.ClearField(field)  # type: ignore[arg-type]
    with pytest.raises(MissingFieldError, match=field):
        require_fields(request, "name", "volume_capabilities")


def test_require_fields_takes_an_empty_message_that_is_set() -> None:
    request = csi_pb2.ControllerExpandVolumeRequest(capacity_range=csi_pb2.CapacityRange())
    require_fields(request, "capacity_range")
    with pytest.raises(MissingFieldError, match="volume_capability"):
        require_fields(request, "volume_capability")


@pytest.mark.parametrize(
    "name", ["a", "n" * MAX_NAME_BYTES, "ü" * 64, "tab\tline\nreturn\r", "💾", "../x"]
)
def test_parse_name_of_any_text_is_taken(name: str) -> None:
    """Control characters alone are banned, and csi-sanity uses 128 bytes (rules.md D)."""
    assert parse_name(name) == name


@pytest.mark.parametrize("char", ["\0", "\x08", "\x0b", "\x0c", "\x0e", "\x1f", "\x7f", "\x9f"])
def test_parse_name_with_a_banned_character_is_invalid(char: str) -> None:
    with pytest.raises(InvalidFieldError, match="control characters"):
        parse_name(f"a{char}b")


@pytest.mark.parametrize("name", ["n" * (MAX_NAME_BYTES + 1), "ü" * 65])
def test_parse_name_beyond_128_bytes_is_invalid(name: str) -> None:
    with pytest.raises(InvalidFieldError, match="128 bytes"):
        parse_name(name)


def test_parse_known_id_of_ours_is_the_id() -> None:
    assert parse_known_id(VolumeId, str(VOLUME_ID)) == VOLUME_ID


@pytest.mark.parametrize("text", [*HOSTILE_IDS, str(SNAPSHOT_ID), str(EPHEMERAL_ID), "vol-1", ""])
def test_parse_known_id_of_anything_else_is_not_found(text: str) -> None:
    """rules.md C1: what is outside the grammar reaches nothing."""
    with pytest.raises(UnknownIdError) as caught:
        parse_known_id(VolumeId, text)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("text", HOSTILE_IDS)
def test_parse_id_if_ours_of_anything_else_is_none(text: str) -> None:
    assert parse_id_if_ours(SnapshotId, text) is None


def test_parse_id_if_ours_of_ours_is_the_id() -> None:
    assert parse_id_if_ours(SnapshotId, str(SNAPSHOT_ID)) == SNAPSHOT_ID


@pytest.mark.parametrize("known", [VOLUME_ID, EPHEMERAL_ID])
def test_parse_node_volume_id_takes_both_kinds(known: VolumeId | EphemeralId) -> None:
    assert parse_node_volume_id(str(known)) == known


@pytest.mark.parametrize("text", ["csi-5", "csi-" + "G" * 64, str(SNAPSHOT_ID)])
def test_parse_node_volume_id_of_anything_else_is_not_found(text: str) -> None:
    with pytest.raises(UnknownIdError):
        parse_node_volume_id(text)


def test_parse_map_within_the_limit_is_a_plain_dict() -> None:
    request = csi_pb2.CreateVolumeRequest(parameters={"k": "v" * (MAX_MAP_BYTES - 1)})
    assert parse_map("parameters", request.parameters) == dict(request.parameters)


def test_parse_map_beyond_the_limit_is_invalid() -> None:
    with pytest.raises(InvalidFieldError, match="parameters"):
        parse_map("parameters", {"k": "v" * MAX_MAP_BYTES})


def test_parse_topology_is_its_segments() -> None:
    topology = csi_pb2.Topology(segments={"zone": "z1"})
    assert parse_topology("accessible_topology", topology) == {"zone": "z1"}


def test_parse_capacity_range_that_is_unset_says_nothing() -> None:
    assert parse_capacity_range(csi_pb2.CapacityRange()) == CapacityRange()


@pytest.mark.parametrize(("required", "limit"), [(-1, 0), (0, -1), (2, 1)])
def test_parse_capacity_range_that_no_volume_can_have_is_invalid(required: int, limit: int) -> None:
    with pytest.raises(InvalidSizeError):
        parse_capacity_range(csi_pb2.CapacityRange(required_bytes=required, limit_bytes=limit))


def test_parse_capacity_range_keeps_both_ends() -> None:
    parsed = parse_capacity_range(csi_pb2.CapacityRange(required_bytes=GIB, limit_bytes=2 * GIB))
    assert parsed == CapacityRange(GIB, 2 * GIB)


@pytest.mark.parametrize("mode", list(AccessMode))
def test_parse_capability_of_a_single_node_mode_is_taken(mode: AccessMode) -> None:
    parsed = parse_capability(mount_capability(mode=Mode.Value(mode)))
    assert (parsed.access_mode, parsed.access_type) == (mode, AccessType.MOUNT)


@pytest.mark.parametrize("mode", [name for name in Mode.keys() if name.startswith("MULTI_NODE")])  # noqa: SIM118 - no dict
def test_parse_capability_of_a_multi_node_mode_says_which_modes_there_are(mode: str) -> None:
    with pytest.raises(UnsupportedCapabilityError, match=f"{mode}.*SINGLE_NODE_WRITER"):
        parse_capability(mount_capability(mode=Mode.Value(mode)))


def test_parse_capability_of_a_mode_from_the_future_is_unsupported() -> None:
    with pytest.raises(UnsupportedCapabilityError, match="99"):
        parse_capability(mount_capability(mode=99))


def test_parse_capability_without_mode_is_missing() -> None:
    with pytest.raises(MissingFieldError, match="access_mode"):
        parse_capability(mount_capability(mode=Mode.UNKNOWN))


def test_parse_capability_without_access_type_is_missing() -> None:
    capability = mount_capability()
    capability.ClearField("mount")
    with pytest.raises(MissingFieldError, match="access_type"):
        parse_capability(capability)


def test_parse_capability_of_block_has_no_file_system() -> None:
    parsed = parse_capability(block_capability())
    assert (parsed.access_type, parsed.fs_type) == (AccessType.BLOCK, "")


def test_parse_capability_of_mount_keeps_file_system_and_flags() -> None:
    parsed = parse_capability(mount_capability("xfs", flags=("noatime", "ro")))
    assert (parsed.fs_type, parsed.mount_flags) == ("xfs", ("noatime", "ro"))


@pytest.mark.parametrize("flag", ["suid", "loop", "logdev=/dev/sda", "ro,suid", "-o bind", ""])
def test_parse_capability_with_a_flag_outside_the_list_is_unsupported(flag: str) -> None:
    """rules.md C3."""
    with pytest.raises(UnsupportedCapabilityError, match="mount flag"):
        parse_capability(mount_capability(flags=(flag,)))


def test_parse_capability_with_too_many_flags_is_invalid() -> None:
    with pytest.raises(InvalidFieldError, match="mount_flags"):
        parse_capability(mount_capability(flags=("ro",) * MAX_MOUNT_FLAGS_BYTES))


def test_parse_capability_with_unknown_file_system_is_unsupported() -> None:
    with pytest.raises(UnsupportedCapabilityError, match="ntfs"):
        parse_capability(mount_capability("ntfs"))


def test_parse_capability_with_a_mount_group_is_unsupported() -> None:
    capability = mount_capability()
    capability.mount.volume_mount_group = "1000"
    with pytest.raises(UnsupportedCapabilityError, match="volume_mount_group"):
        parse_capability(capability)


def test_parse_capabilities_that_agree_are_taken() -> None:
    reader = mount_capability("xfs", mode=Mode.SINGLE_NODE_READER_ONLY)
    assert len(parse_capabilities([mount_capability("xfs"), reader])) == 2


@pytest.mark.parametrize("other", [block_capability(), mount_capability("xfs")])
def test_parse_capabilities_that_disagree_are_unsupported(other: csi_pb2.VolumeCapability) -> None:
    with pytest.raises(UnsupportedCapabilityError, match="not several"):
        parse_capabilities([mount_capability("ext4"), other])
