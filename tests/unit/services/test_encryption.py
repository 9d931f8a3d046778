"""Encrypted volumes: a key of each lineage, made of the Secret of a call, loaded while in use."""

from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.datasets.api import NewDataset
from csi_zfs.datasets.keys import EncryptionUnsupportedError, wrapping_key_of
from csi_zfs.datasets.names import ephemeral_of
from csi_zfs.domain.capabilities import VolumeCapability
from csi_zfs.domain.ids import EphemeralId, SnapshotId, VolumeId
from csi_zfs.domain.model import ContentSource, CreateVolumeSpec
from csi_zfs.domain.secrets import Secrets, SecretUse
from csi_zfs.domain.sizes import GIB, CapacityRange
from csi_zfs.mount.api import NotBlankError
from csi_zfs.services.creation import DifferentVolumeError, SourceEncryptionError
from csi_zfs.services.keys import KeyMissingError, KeyRefusedError, KeyWeakError
from csi_zfs.services.records import parse_volume
from tests.support.builders import (
    EPHEMERAL_ID,
    SIZE_BYTES,
    block_capability,
    ephemeral_spec,
    mount_capability,
    publish_spec,
    stage_spec,
    staging_path,
    target_path,
    volume_spec,
)
from tests.support.node import FakeNode
from tests.support.node_calls import publish
from tests.support.pool_core import LIKE_NATIVE_OPENZFS

KEY, OTHER_KEY = "a secret of at least 32 bytes ...", "another secret of 32 bytes or more"
ENCRYPTED = {"encryption": "on"}
CAPABILITIES = [mount_capability("ext4"), mount_capability("zfs"), block_capability()]


def secrets(use: SecretUse, key: str = KEY, **fields: str) -> Secrets:
    return Secrets(use, {"encryptionKey": key, **fields})


def spec(
    name: str = "pvc-1",
    *,
    key: str = KEY,
    capability: VolumeCapability | None = None,
    source: ContentSource | None = None,
    size_bytes: int = SIZE_BYTES,
    encryption: str = "on",
) -> CreateVolumeSpec:
    asked = volume_spec(
        name,
        capability=capability,
        content_source=source,
        size_bytes=size_bytes,
        parameters={"encryption": encryption} if encryption else {},
    )
    return replace(asked, secrets=secrets(SecretUse.PROVISIONER, key))


def stage(
    node: FakeNode,
    volume_id: VolumeId,
    capability: VolumeCapability | None = None,
    given: Secrets | None = None,
) -> None:
    asked = stage_spec(node.kubelet_dir, volume_id, capability)
    node.publishing.stage(replace(asked, secrets=given or secrets(SecretUse.NODE_STAGE)))


def unstage(node: FakeNode, volume_id: VolumeId) -> None:
    node.publishing.unpublish(volume_id, target_path(node.kubelet_dir, volume_id))
    node.publishing.unstage(volume_id, staging_path(node.kubelet_dir, volume_id))


def is_loaded(node: FakeNode, volume_id: VolumeId) -> bool:
    return node.pool.keys.is_loaded(f"v/{volume_id.leaf}")


@pytest.fixture
def node(tmp_path: Path) -> FakeNode:
    return FakeNode(tmp_path, features=LIKE_NATIVE_OPENZFS)


@pytest.fixture
def volume_id(node: FakeNode) -> VolumeId:
    return node.volumes.create(spec()).volume_id


@pytest.fixture
def snapshot_id(node: FakeNode, volume_id: VolumeId) -> SnapshotId:
    """Of a volume with a file in it."""
    stage(node, volume_id)
    node.mounter.write_file(publish(node, volume_id), "file", b"secret")
    unstage(node, volume_id)
    return node.snapshots.create(
        snapshot_name="s", source_volume_id=volume_id, parameters={}
    ).snapshot_id


def test_encrypted_volume_has_a_salt_and_no_trace_of_its_key(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md C5."""
    dataset = node.dataset(volume_id)
    assert dataset.properties["encryption"] == "aes-256-gcm"
    assert parse_volume(dataset.user_properties).salt
    assert KEY not in repr(dataset)
    assert not is_loaded(node, volume_id)


def test_each_volume_has_a_salt_of_its_own(node: FakeNode, volume_id: VolumeId) -> None:
    other_id = node.volumes.create(spec("pvc-2")).volume_id
    salts = {parse_volume(node.dataset(it).user_properties).salt for it in (volume_id, other_id)}
    assert len(salts) == 2


@pytest.mark.parametrize(
    ("key", "error"),
    [
        ("", KeyMissingError),
        ("short", KeyWeakError),
        ("31 bytes are too few for a key.", KeyWeakError),
    ],
)
def test_create_without_a_good_key_makes_nothing_and_names_the_field(
    node: FakeNode, key: str, error: type[Exception]
) -> None:
    with pytest.raises(error, match=r"encryptionKey") as caught:
        node.volumes.create(spec(key=key))
    assert "provisioner" in str(caught.value)
    assert not node.names()


def test_create_is_repeated_with_the_same_secret_only(node: FakeNode, volume_id: VolumeId) -> None:
    assert node.volumes.create(spec()).volume_id == volume_id
    with pytest.raises(KeyRefusedError, match="encryptionKey"):
        node.volumes.create(spec(key=OTHER_KEY))
    with pytest.raises(DifferentVolumeError, match="parameters"):
        node.volumes.create(spec(encryption="off"))


def test_line_feed_at_the_end_of_a_key_means_nothing(node: FakeNode, volume_id: VolumeId) -> None:
    """A file that a Secret is made from often ends with one."""
    assert node.volumes.create(spec(key=f"{KEY}\n")).volume_id == volume_id


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_key_is_loaded_from_stage_to_unstage(node: FakeNode, capability: VolumeCapability) -> None:
    volume_id = node.volumes.create(spec(capability=capability)).volume_id
    stage(node, volume_id, capability)
    assert is_loaded(node, volume_id)
    publish(node, volume_id, capability)
    unstage(node, volume_id)
    assert not is_loaded(node, volume_id)
    assert not node.state_store.documents


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize(
    ("given", "error"),
    [
        (Secrets(SecretUse.NODE_STAGE), KeyMissingError),
        (secrets(SecretUse.NODE_STAGE, OTHER_KEY), KeyRefusedError),
    ],
)
def test_stage_without_the_key_names_the_field_and_loads_nothing(
    node: FakeNode, capability: VolumeCapability, given: Secrets, error: type[Exception]
) -> None:
    volume_id = node.volumes.create(spec(capability=capability)).volume_id
    with pytest.raises(error, match="encryptionKey") as caught:
        stage(node, volume_id, capability, given)
    assert "node-stage" in str(caught.value)
    assert not is_loaded(node, volume_id)
    assert not node.state_store.documents
    stage(node, volume_id, capability)


@pytest.mark.expected_logs("stays loaded for now")
def test_stage_that_fails_forgets_the_key(node: FakeNode) -> None:
    capability = mount_capability("ext4")
    volume_id = node.volumes.create(spec(capability=capability)).volume_id
    salt = parse_volume(node.dataset(volume_id).user_properties).salt
    node.pool.keys.load(f"v/{volume_id.leaf}", wrapping_key_of(KEY, salt))
    node.image(volume_id).raw = b"something"
    node.pool.forget_keys()
    with pytest.raises(NotBlankError):
        stage(node, volume_id, capability)
    assert node.pool.keys.is_loaded(f"v/{volume_id.leaf}")  # its device is attached still
    node.publishing.unstage(volume_id, staging_path(node.kubelet_dir, volume_id))
    assert not is_loaded(node, volume_id)


def test_wrong_key_at_a_second_stage_takes_nothing_away(
    node: FakeNode, volume_id: VolumeId
) -> None:
    stage(node, volume_id)
    with pytest.raises(KeyRefusedError):
        stage(node, volume_id, given=secrets(SecretUse.NODE_STAGE, OTHER_KEY))
    assert is_loaded(node, volume_id)


def test_publish_needs_no_secret_while_the_key_is_loaded(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """rules.md B6: a stage that was lost is repaired, as long as the machine has the key."""
    stage(node, volume_id)
    node.mounter.unmount(staging_path(node.kubelet_dir, volume_id))
    publish(node, volume_id)
    assert is_loaded(node, volume_id)


def test_publish_after_a_reboot_needs_the_secret(node: FakeNode, volume_id: VolumeId) -> None:
    stage(node, volume_id)
    node.mounter.reboot()
    node.pool.forget_keys()
    node.restart()
    asked = publish_spec(node.kubelet_dir, volume_id)
    with pytest.raises(KeyMissingError, match="node-publish"):
        node.publishing.publish(replace(asked, secrets=Secrets(SecretUse.NODE_PUBLISH)))
    node.publishing.publish(replace(asked, secrets=secrets(SecretUse.NODE_PUBLISH)))
    unstage(node, volume_id)
    assert not is_loaded(node, volume_id)


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_unstage_after_a_reboot_finds_nothing_to_do(
    node: FakeNode, capability: VolumeCapability
) -> None:
    """rules.md B5: without any Secret."""
    volume_id = node.volumes.create(spec(capability=capability)).volume_id
    stage(node, volume_id, capability)
    node.mounter.reboot()
    node.pool.forget_keys()
    node.restart()
    unstage(node, volume_id)
    assert not node.state_store.documents
    node.volumes.delete(volume_id)
    assert not node.names()


def test_copies_share_the_key_of_their_source(
    node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId
) -> None:
    salt = parse_volume(node.dataset(volume_id).user_properties).salt
    sources: list[ContentSource] = [snapshot_id, volume_id]
    for number, source in enumerate(sources):
        for encryption in ("on", ""):
            asked = spec(f"copy-{number}-{encryption}", source=source, encryption=encryption)
            copy_id = node.volumes.create(asked).volume_id
            assert parse_volume(node.dataset(copy_id).user_properties).salt == salt
            stage(node, copy_id)
            assert node.mounter.read_file(publish(node, copy_id), "file") == b"secret"
            unstage(node, copy_id)


@pytest.mark.parametrize("key", ["", OTHER_KEY])
def test_copy_needs_the_secret_of_its_source(
    node: FakeNode, snapshot_id: SnapshotId, key: str
) -> None:
    before = node.names()
    with pytest.raises((KeyMissingError, KeyRefusedError), match="encryptionKey"):
        node.volumes.create(spec("copy", source=snapshot_id, key=key))
    assert node.names() == before


def test_copy_of_a_snapshot_whose_volume_is_deleted_shares_its_key(
    node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId
) -> None:
    node.volumes.delete(volume_id)
    node.restart()
    copy_id = node.volumes.create(spec("copy", source=snapshot_id)).volume_id
    stage(node, copy_id)
    assert node.mounter.read_file(publish(node, copy_id), "file") == b"secret"


def test_larger_copy_of_a_zvol_leaves_no_key_loaded(node: FakeNode) -> None:
    capability = mount_capability("ext4")
    volume_id = node.volumes.create(spec(capability=capability)).volume_id
    copy = node.volumes.create(
        spec("copy", capability=capability, source=volume_id, size_bytes=2 * SIZE_BYTES)
    )
    assert copy.capacity_bytes == 2 * SIZE_BYTES
    assert not is_loaded(node, copy.volume_id)


def test_class_cannot_change_what_a_copy_is(node: FakeNode, snapshot_id: SnapshotId) -> None:
    with pytest.raises(SourceEncryptionError, match="off"):
        node.volumes.create(spec("copy", source=snapshot_id, encryption="off"))
    plain_id = node.volumes.create(volume_spec("plain")).volume_id
    with pytest.raises(SourceEncryptionError, match="on"):
        node.volumes.create(spec("copy", source=plain_id))


def test_key_stays_until_the_last_of_a_lineage_is_unstaged(
    node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId
) -> None:
    copy_id = node.volumes.create(spec("copy", source=snapshot_id)).volume_id
    stage(node, volume_id)
    stage(node, copy_id)
    unstage(node, volume_id)
    assert is_loaded(node, copy_id)
    node.restart()
    unstage(node, copy_id)
    assert not is_loaded(node, volume_id)


def test_copy_whose_stage_was_refused_keeps_no_key_loaded(
    node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId
) -> None:
    copy_id = node.volumes.create(spec("copy", source=snapshot_id)).volume_id
    stage(node, volume_id)
    with pytest.raises(KeyRefusedError):
        stage(node, copy_id, given=secrets(SecretUse.NODE_STAGE, OTHER_KEY))
    unstage(node, volume_id)
    assert not is_loaded(node, volume_id)


def test_raw_device_that_nobody_has_open_keeps_its_key_while_staged(node: FakeNode) -> None:
    first_id = node.volumes.create(spec(capability=block_capability())).volume_id
    second = spec("pvc-2", capability=block_capability(), source=first_id)
    second_id = node.volumes.create(second).volume_id
    stage(node, first_id, block_capability())
    stage(node, second_id, block_capability())
    unstage(node, second_id)
    assert is_loaded(node, first_id)


def test_rotation_ends_at_the_next_stage_for_the_whole_lineage(
    node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId
) -> None:
    copy_id = node.volumes.create(spec("copy", source=snapshot_id)).volume_id
    rotated = secrets(SecretUse.NODE_STAGE, OTHER_KEY, previousEncryptionKey=KEY)
    stage(node, copy_id, given=rotated)
    assert node.mounter.read_file(publish(node, copy_id), "file") == b"secret"
    unstage(node, copy_id)
    stage(node, volume_id, given=secrets(SecretUse.NODE_STAGE, OTHER_KEY))
    unstage(node, volume_id)
    with pytest.raises(KeyRefusedError):
        stage(node, volume_id)


@pytest.mark.expected_logs("still has its previous key")
def test_rotation_that_was_cut_short_is_finished_by_the_next_stage(
    node: FakeNode, volume_id: VolumeId
) -> None:
    """Whichever key fits is found by asking the kernel."""
    rotated = secrets(
        SecretUse.NODE_STAGE,
        OTHER_KEY,
        previousEncryptionKey="a key of long ago, long forgotten",
        previousEncryptionKeyOfMay=KEY,
    )
    salt = parse_volume(node.dataset(volume_id).user_properties).salt
    with node.volumes.locks.hold(shared=[f"key of {salt}"]):
        stage(node, volume_id, given=rotated)
    unstage(node, volume_id)
    stage(node, volume_id)
    unstage(node, volume_id)


def test_previous_key_is_enough_to_copy_and_to_repeat(node: FakeNode, volume_id: VolumeId) -> None:
    rotated = replace(
        spec(), secrets=secrets(SecretUse.PROVISIONER, OTHER_KEY, previousEncryptionKey=KEY)
    )
    assert node.volumes.create(rotated).volume_id == volume_id


def test_expand_of_an_encrypted_zvol_needs_its_key_unless_it_is_in_use(node: FakeNode) -> None:
    capability = mount_capability("ext4")
    volume_id = node.volumes.create(spec(capability=capability)).volume_id
    with pytest.raises(KeyMissingError, match="controller-expand"):
        node.volumes.expand(volume_id, CapacityRange(GIB), Secrets(SecretUse.CONTROLLER_EXPAND))
    given = secrets(SecretUse.CONTROLLER_EXPAND)
    assert node.volumes.expand(volume_id, CapacityRange(GIB), given).capacity_bytes == GIB
    assert not is_loaded(node, volume_id)
    stage(node, volume_id, capability)
    assert node.volumes.expand(volume_id, CapacityRange(2 * GIB)).capacity_bytes == 2 * GIB
    assert is_loaded(node, volume_id)


def test_expand_of_an_encrypted_file_system_needs_no_key(
    node: FakeNode, volume_id: VolumeId
) -> None:
    assert node.volumes.expand(volume_id, CapacityRange(GIB)).capacity_bytes == GIB


def test_inline_volume_is_encrypted_with_the_secret_of_its_pod(node: FakeNode) -> None:
    asked = ephemeral_spec(node.kubelet_dir, parameters=ENCRYPTED)
    none = Secrets(SecretUse.NODE_PUBLISH)
    with pytest.raises(KeyMissingError, match="node-publish"):
        node.publishing.publish_ephemeral(replace(asked, secrets=none))
    assert not node.names()
    asked = replace(asked, secrets=secrets(SecretUse.NODE_PUBLISH))
    node.publishing.publish_ephemeral(asked)
    node.publishing.publish_ephemeral(asked)
    node.mounter.write_file(asked.target_path, "file", b"data")
    node.publishing.unpublish(EphemeralId(EPHEMERAL_ID), asked.target_path)
    assert not node.names()


def test_pool_without_encryption_is_passed_over_or_refused(tmp_path: Path) -> None:
    node = FakeNode(tmp_path)
    with pytest.raises(EncryptionUnsupportedError, match="OpenZFS"):
        node.volumes.create(spec())
    for capabilities in ([], [mount_capability()]):
        report = node.volumes.capacity(
            parameters=ENCRYPTED, capabilities=capabilities, topology=None
        )
        assert (report.available_bytes, report.maximum_volume_bytes) == (0, 0)


def test_delete_needs_no_key(node: FakeNode, volume_id: VolumeId, snapshot_id: SnapshotId) -> None:
    copy_id = node.volumes.create(spec("copy", source=snapshot_id)).volume_id
    for deleted in (volume_id, copy_id):
        node.volumes.delete(deleted)
    node.snapshots.delete(snapshot_id)
    assert not node.names()


@pytest.mark.expected_logs("stays loaded for now")
def test_busy_key_is_left_loaded_and_said_so(node: FakeNode, volume_id: VolumeId) -> None:
    stage(node, volume_id)
    image = node.image(volume_id)
    unstage_path = staging_path(node.kubelet_dir, volume_id)
    node.mounter.unmount(unstage_path)
    image.is_attached = True  # somebody else mounted it by hand
    node.publishing.unstage(volume_id, unstage_path)
    assert is_loaded(node, volume_id)


def test_key_that_somebody_left_to_an_expansion_is_unloaded_by_it(node: FakeNode) -> None:
    """Who unstages while another call holds the lineage leaves the forgetting to that call."""
    capability = mount_capability("ext4")
    first_id = node.volumes.create(spec(capability=capability)).volume_id
    second_id = node.volumes.create(spec("copy", capability=capability, source=first_id)).volume_id
    stage(node, second_id, capability)

    def unstage_meanwhile(point: str) -> None:
        if point == "resize:before":
            node.effects = lambda _point: None
            unstage(node, second_id)

    node.effects = unstage_meanwhile
    node.volumes.expand(first_id, CapacityRange(GIB), secrets(SecretUse.CONTROLLER_EXPAND))
    assert not is_loaded(node, first_id)


def test_inline_volume_without_a_record_does_not_keep_its_pod(node: FakeNode) -> None:
    """rules.md B5: what a power cut left of its making is not taken for it."""
    node.pool.create(NewDataset(ephemeral_of(EPHEMERAL_ID), SIZE_BYTES))
    asked = ephemeral_spec(node.kubelet_dir)
    node.publishing.unpublish(EphemeralId(EPHEMERAL_ID), asked.target_path)
    assert node.names() == {ephemeral_of(EPHEMERAL_ID)}
