"""Capabilities: the file systems, mount flags and access modes that a caller may ask for."""

import pytest

from csi_zfs.domain.capabilities import (
    FS_TYPES,
    MOUNT_FLAGS,
    AccessMode,
    AccessType,
    UnsupportedCapabilityError,
    VolumeCapability,
)


@pytest.mark.parametrize("fs_type", ["", *FS_TYPES])
def test_capability_with_a_known_file_system_is_taken(fs_type: str) -> None:
    capability = VolumeCapability(AccessMode.SINGLE_NODE_WRITER, AccessType.MOUNT, fs_type)
    assert capability.fs_type == fs_type


@pytest.mark.parametrize("fs_type", ["ntfs", "EXT4", "ext4 ", "ext4\n", "../ext4", "-t", "btrfs"])
def test_capability_with_another_file_system_is_refused(fs_type: str) -> None:
    with pytest.raises(UnsupportedCapabilityError, match="use one of ext4, xfs, zfs"):
        VolumeCapability(AccessMode.SINGLE_NODE_WRITER, AccessType.MOUNT, fs_type)


def test_mount_flags_of_the_allow_list_are_taken() -> None:
    """rules.md C3."""
    flags = tuple(sorted(MOUNT_FLAGS))
    capability = VolumeCapability(
        AccessMode.SINGLE_NODE_WRITER, AccessType.MOUNT, mount_flags=flags
    )
    assert capability.mount_flags == flags


@pytest.mark.parametrize(
    "flag",
    [
        "",
        "suid",
        "exec",
        "dev",
        "noatime,suid",
        "noatime suid",
        "-o",
        "logdev=/dev/sda",
        "journal_path=/etc/shadow",
        "bind",
        "remount",
        "loop",
        "context=x",
        "NOATIME",
        "noatime\n",
        "errors=panic",
    ],
)
def test_mount_flag_outside_the_allow_list_is_refused(flag: str) -> None:
    """rules.md C3: none that weakens the node, points elsewhere or carries a second one along."""
    with pytest.raises(UnsupportedCapabilityError, match="not allowed"):
        VolumeCapability(AccessMode.SINGLE_NODE_WRITER, AccessType.MOUNT, mount_flags=(flag,))


def test_only_multi_writer_allows_many_targets() -> None:
    allowing = {mode for mode in AccessMode if mode.allows_many_targets}
    assert allowing == {AccessMode.SINGLE_NODE_MULTI_WRITER}


def test_only_reader_only_is_read_only() -> None:
    assert {mode for mode in AccessMode if mode.is_read_only} == {
        AccessMode.SINGLE_NODE_READER_ONLY
    }
