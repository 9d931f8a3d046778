from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from csi_zfs.domain.capabilities import (
    AccessMode,
    AccessType,
    UnsupportedCapabilityError,
    VolumeCapability,
)
from csi_zfs.domain.ids import EphemeralId, InvalidIdError, VolumeId
from csi_zfs.domain.model import EphemeralSpec, PublishSpec, StageSpec
from csi_zfs.domain.secrets import Secrets, SecretUse
from csi_zfs.domain.sizes import GIB, CapacityRange
from csi_zfs.rpc.requests.fields import MissingFieldError, UnknownIdError
from csi_zfs.rpc.requests.node import (
    EPHEMERAL_KEY,
    InvalidPathError,
    NodeRequests,
    NotStagedError,
    PathUnknownError,
)
from tests.support.services import EPHEMERAL_ID, VOLUME_ID
from tests.unit.rpc import examples
from tests.unit.rpc.examples import KUBELET_DIR, STAGING_PATH, TARGET_PATH, mount_capability

WRITER = VolumeCapability(AccessMode.SINGLE_NODE_WRITER, AccessType.MOUNT)
NODE = NodeRequests(Path(KUBELET_DIR))
BAD_PATHS = [
    "some/path",
    "/etc/passwd",
    "/",
    KUBELET_DIR,
    f"{KUBELET_DIR}-other/pods/x",
    f"{KUBELET_DIR}/",
    f"{KUBELET_DIR}/pods/",
    f"{KUBELET_DIR}/pods/../../../etc",
    f"{KUBELET_DIR}/pods/./x",
    f"{KUBELET_DIR}//pods",
    f"/{KUBELET_DIR}/pods",
    f"{KUBELET_DIR}/pods/a\nb",
    f"{KUBELET_DIR}/pods/a\0b",
    f"{KUBELET_DIR}/pods/a\x7fb",
    f"{KUBELET_DIR}/{'c' * 256}",
    f"{KUBELET_DIR}/{'ü' * 128}",
    f"{KUBELET_DIR}/" + "/".join(["c" * 100] * 41),
]
Parse = Callable[[Any], object]
WITH_PATHS: list[tuple[Parse, Callable[[], Any], str]] = [
    (NODE.parse_stage, examples.stage, "staging_target_path"),
    (NODE.parse_unstage, examples.unstage, "staging_target_path"),
    (NODE.parse_publish, examples.publish, "staging_target_path"),
    (NODE.parse_publish, examples.publish, "target_path"),
    (NODE.parse_publish, examples.publish_ephemeral, "target_path"),
    (NODE.parse_unpublish, examples.unpublish, "target_path"),
    (NODE.parse_expand, examples.node_expand, "volume_path"),
    (NODE.parse_health, examples.node_health, "volume_publish_path"),
]
REQUIRED: list[tuple[Parse, Callable[[], Any], str]] = [
    (NODE.parse_stage, examples.stage, "volume_id"),
    (NODE.parse_stage, examples.stage, "staging_target_path"),
    (NODE.parse_stage, examples.stage, "volume_capability"),
    (NODE.parse_unstage, examples.unstage, "volume_id"),
    (NODE.parse_unstage, examples.unstage, "staging_target_path"),
    (NODE.parse_publish, examples.publish, "volume_id"),
    (NODE.parse_publish, examples.publish, "target_path"),
    (NODE.parse_publish, examples.publish, "volume_capability"),
    (NODE.parse_unpublish, examples.unpublish, "volume_id"),
    (NODE.parse_unpublish, examples.unpublish, "target_path"),
    (NODE.parse_stats, examples.stats, "volume_id"),
    (NODE.parse_stats, examples.stats, "volume_path"),
    (NODE.parse_expand, examples.node_expand, "volume_id"),
    (NODE.parse_expand, examples.node_expand, "volume_path"),
    (NODE.parse_health, examples.node_health, "volume_id"),
]


@pytest.mark.parametrize(("parse", "example", "field"), REQUIRED)
def test_parse_without_a_required_field_is_missing_even_of_an_unknown_volume(
    parse: Parse, example: Callable[[], Any], field: str
) -> None:
    """csi-sanity asks with ids that nobody knows, and wants to hear of the field."""
    request = example()
    request.volume_id = "fake-vol-id-1"
    request.ClearField(field)
    with pytest.raises(MissingFieldError, match=field):
        parse(request)


@pytest.mark.parametrize(("parse", "example", "field"), REQUIRED)
def test_parse_of_an_unknown_volume_is_not_found(
    parse: Parse, example: Callable[[], Any], field: str
) -> None:
    request = example()
    request.volume_id = "fake-vol-id-1"
    with pytest.raises(UnknownIdError):
        parse(request)


@pytest.mark.parametrize("path", BAD_PATHS)
@pytest.mark.parametrize(("parse", "example", "field"), WITH_PATHS)
def test_parse_of_a_path_outside_the_kubelet_directory_is_invalid(
    parse: Parse, example: Callable[[], Any], field: str, path: str
) -> None:
    """rules.md C1."""
    request = example()
    setattr(request, field, path)
    with pytest.raises(InvalidPathError, match=field):
        parse(request)


@pytest.mark.parametrize("path", BAD_PATHS)
def test_parse_stats_at_a_path_that_shows_no_volume_is_not_found(path: str) -> None:
    """rules.md D: csi-sanity asks for the statistics at some/path."""
    request = examples.stats()
    request.volume_path = path
    with pytest.raises(PathUnknownError):
        NODE.parse_stats(request)


@pytest.mark.parametrize(
    "path",
    [
        f"{KUBELET_DIR}/a",
        f"{KUBELET_DIR}/{'c' * 255}",
        f"{KUBELET_DIR}/spaces and :,@% ü",
        f"{KUBELET_DIR}/...",
        f"{KUBELET_DIR}/-rf",
    ],
)
def test_parse_takes_any_plain_path_below_the_kubelet_directory(path: str) -> None:
    request = examples.unpublish()
    request.target_path = path
    assert NODE.parse_unpublish(request) == (VOLUME_ID, Path(path))


def test_parse_stage_keeps_everything() -> None:
    request = examples.stage()
    request.secrets["encryptionKey"] = "k"
    secrets = Secrets(SecretUse.NODE_STAGE, {"encryptionKey": "k"})
    expected = StageSpec(VOLUME_ID, Path(STAGING_PATH), WRITER, secrets)
    assert NODE.parse_stage(request) == expected
    assert "'k'" not in repr(expected)  # rules.md C4


def test_parse_unstage_keeps_id_and_path() -> None:
    assert NODE.parse_unstage(examples.unstage()) == (VOLUME_ID, Path(STAGING_PATH))


@pytest.mark.parametrize("is_read_only", [True, False])
def test_parse_publish_keeps_everything(*, is_read_only: bool) -> None:
    request = examples.publish()
    request.readonly = is_read_only
    assert NODE.parse_publish(request) == PublishSpec(
        volume_id=VOLUME_ID,
        staging_target_path=Path(STAGING_PATH),
        target_path=Path(TARGET_PATH),
        capability=WRITER,
        is_read_only=is_read_only,
        secrets=Secrets(SecretUse.NODE_PUBLISH),
    )


def test_parse_publish_without_a_staging_path_is_a_failed_precondition() -> None:
    """The specification's own code for it, other than for any other missing field."""
    request = examples.publish()
    request.ClearField("staging_target_path")
    with pytest.raises(NotStagedError):
        NODE.parse_publish(request)


def test_parse_publish_of_an_ephemeral_volume_keeps_its_attributes_without_metadata() -> None:
    """rules.md C4: the tokens of the pod's service account stay behind."""
    assert NODE.parse_publish(examples.publish_ephemeral()) == EphemeralSpec(
        ephemeral_id=str(EPHEMERAL_ID),
        target_path=Path(TARGET_PATH),
        capability=WRITER,
        is_read_only=False,
        parameters={"size": "2Gi"},
        secrets=Secrets(SecretUse.NODE_PUBLISH),
    )


@pytest.mark.parametrize("text", [str(VOLUME_ID), "csi-1", "../x"])
def test_parse_publish_of_an_ephemeral_volume_by_another_id_is_invalid(text: str) -> None:
    request = examples.publish_ephemeral()
    request.volume_id = text
    with pytest.raises(InvalidIdError):
        NODE.parse_publish(request)


def test_parse_publish_of_an_ephemeral_id_without_the_flag_is_not_found() -> None:
    request = examples.publish_ephemeral()
    request.volume_context[EPHEMERAL_KEY] = "false"
    with pytest.raises(UnknownIdError):
        NODE.parse_publish(request)


def test_parse_publish_of_an_ephemeral_block_device_is_unsupported() -> None:
    request = examples.publish_ephemeral()
    request.volume_capability.CopyFrom(examples.block_capability())
    with pytest.raises(UnsupportedCapabilityError, match="ephemeral"):
        NODE.parse_publish(request)


@pytest.mark.parametrize("known", [VOLUME_ID, EPHEMERAL_ID])
def test_parse_unpublish_stats_and_health_take_both_kinds_of_ids(
    known: VolumeId | EphemeralId,
) -> None:
    unpublish, stats, health = examples.unpublish(), examples.stats(), examples.node_health()
    unpublish.volume_id = stats.volume_id = health.volume_id = str(known)
    assert NODE.parse_unpublish(unpublish) == (known, Path(TARGET_PATH))
    assert NODE.parse_stats(stats) == (known, Path(TARGET_PATH))
    assert NODE.parse_health(health) == (known, None)


@pytest.mark.parametrize(
    ("parse", "example"),
    [
        (NODE.parse_stage, examples.stage),
        (NODE.parse_unstage, examples.unstage),
        (NODE.parse_expand, examples.node_expand),
    ],
)
def test_parse_of_other_calls_knows_no_ephemeral_id(
    parse: Parse, example: Callable[[], Any]
) -> None:
    request = example()
    request.volume_id = str(EPHEMERAL_ID)
    with pytest.raises(UnknownIdError):
        parse(request)


def test_parse_health_keeps_a_path() -> None:
    request = examples.node_health()
    request.volume_publish_path = TARGET_PATH
    assert NODE.parse_health(request) == (VOLUME_ID, Path(TARGET_PATH))


def test_parse_expand_without_a_range_means_all_there_is() -> None:
    parsed = NODE.parse_expand(examples.node_expand())
    assert parsed == (VOLUME_ID, Path(TARGET_PATH), CapacityRange())


def test_parse_expand_keeps_a_range() -> None:
    request = examples.node_expand()
    request.capacity_range.required_bytes = GIB
    request.volume_capability.CopyFrom(mount_capability())
    assert NODE.parse_expand(request)[2] == CapacityRange(GIB)


def test_parse_expand_with_a_bad_capability_is_missing() -> None:
    request = examples.node_expand()
    request.volume_capability.SetInParent()
    with pytest.raises(MissingFieldError, match="access_mode"):
        NODE.parse_expand(request)


def test_parse_expand_of_an_unknown_volume_at_a_bad_path_is_not_found() -> None:
    """rules.md D: csi-sanity asks so, and wants the volume missed first."""
    request = examples.node_expand()
    request.volume_id, request.volume_path = "fake-vol-id-1", "some/path"
    with pytest.raises(UnknownIdError):
        NODE.parse_expand(request)
