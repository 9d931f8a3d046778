"""Content sources: what a copy holds, and how its source is kept in place."""

from dataclasses import replace

import pytest

from csi_zfs.datasets.api import UnsupportedFeatureError
from csi_zfs.domain.capabilities import AccessType, VolumeCapability
from csi_zfs.services.records import DiskFormat, FormatState
from csi_zfs.services.sources import (
    Source,
    SourceFormatError,
    SourceMovedError,
    Sources,
    blank_disk,
    disk_from,
)
from tests.support.builders import block_capability, mount_capability, volume_spec
from tests.support.locks import LateLocks
from tests.support.node import FakeNode
from tests.support.pool_core import LIKE_NATIVE_OPENZFS, LIKE_REFLINK

MOUNT, BLOCK = AccessType.MOUNT, AccessType.BLOCK
BLANK, FORMATTING, FORMATTED = FormatState
EXT4 = DiskFormat(MOUNT, "ext4", FORMATTED, filesystem_bytes=100)
RAW = DiskFormat(BLOCK)
ZFS = DiskFormat(MOUNT, "zfs", FORMATTED)


@pytest.mark.parametrize(
    ("capability", "disk"),
    [
        (mount_capability(), DiskFormat(MOUNT, "ext4")),
        (mount_capability("xfs"), DiskFormat(MOUNT, "xfs")),
        (block_capability(), DiskFormat(BLOCK)),
    ],
)
def test_new_volume_is_blank_and_never_formatted(
    capability: VolumeCapability, disk: DiskFormat
) -> None:
    """rules.md A4."""
    assert blank_disk(capability, LIKE_REFLINK) == disk
    assert disk.state is BLANK


@pytest.mark.parametrize(
    ("capability", "disk"),
    [
        (mount_capability(), DiskFormat(MOUNT, "zfs", FORMATTED)),
        (mount_capability("zfs"), DiskFormat(MOUNT, "zfs", FORMATTED)),
        (mount_capability("ext4"), DiskFormat(MOUNT, "ext4")),
        (block_capability(), DiskFormat(BLOCK)),
    ],
)
def test_new_volume_of_a_pool_with_native_file_systems_is_one_by_default(
    capability: VolumeCapability, disk: DiskFormat
) -> None:
    assert blank_disk(capability, LIKE_NATIVE_OPENZFS) == disk


def test_native_file_system_on_a_pool_without_them_is_unsupported() -> None:
    with pytest.raises(UnsupportedFeatureError, match="only a pool on OpenZFS"):
        blank_disk(mount_capability("zfs"), LIKE_REFLINK)


@pytest.mark.parametrize(
    ("source", "capability"),
    [
        (ZFS, mount_capability("ext4")),
        (ZFS, block_capability()),
        (EXT4, mount_capability("zfs")),
        (DiskFormat(MOUNT, "ext4"), mount_capability("zfs")),
        (RAW, mount_capability("zfs")),
    ],
)
def test_copy_of_another_kind_than_its_source_is_refused(
    source: DiskFormat, capability: VolumeCapability
) -> None:
    """No clone of a zvol is a file system of ZFS, or the other way round."""
    with pytest.raises(SourceFormatError, match="the source"):
        disk_from(Source("pool", "v/a", 100, source), capability)


@pytest.mark.parametrize("fs_type", ["", "zfs"])
def test_copy_of_a_native_file_system_is_one(fs_type: str) -> None:
    assert disk_from(Source("pool", "v/a", 100, ZFS), mount_capability(fs_type)) == ZFS


@pytest.mark.parametrize(
    ("source", "capability", "disk"),
    [
        # A file system: the same one, which has a twin from now on.
        (EXT4, mount_capability(), replace(EXT4, has_twin_uuid=True)),
        (EXT4, mount_capability("ext4"), replace(EXT4, has_twin_uuid=True)),
        # One that was never formatted may become another one, and is still to be formatted.
        (DiskFormat(MOUNT, "ext4"), mount_capability("xfs"), DiskFormat(MOUNT, "xfs")),
        (DiskFormat(MOUNT, "xfs"), mount_capability(), DiskFormat(MOUNT, "xfs")),
        (
            DiskFormat(MOUNT, "ext4", FORMATTING),
            mount_capability(),
            DiskFormat(MOUNT, "ext4", FORMATTING),
        ),
        # What is on a raw device is unknown: it counts as formatted, so that mkfs never runs.
        (RAW, block_capability(), DiskFormat(BLOCK, "", FORMATTED, 0, has_twin_uuid=True)),
        (RAW, mount_capability(), DiskFormat(MOUNT, "ext4", FORMATTED, 0, has_twin_uuid=True)),
        (RAW, mount_capability("xfs"), DiskFormat(MOUNT, "xfs", FORMATTED, 0, has_twin_uuid=True)),
        (EXT4, block_capability(), DiskFormat(BLOCK, "ext4", FORMATTED, 100, has_twin_uuid=True)),
    ],
)
def test_copy_holds_what_its_source_holds(
    source: DiskFormat, capability: VolumeCapability, disk: DiskFormat
) -> None:
    """rules.md A4, A11."""
    assert disk_from(Source("p", "v/a@s", 1, source), capability) == disk


def test_copy_of_a_block_copy_as_a_file_system_is_what_the_first_source_was() -> None:
    block = disk_from(Source("p", "v/a", 1, EXT4), block_capability())
    again = disk_from(Source("p", "v/b", 1, block), mount_capability())
    assert (again.access_type, again.fs_type, again.state) == (MOUNT, "ext4", FORMATTED)
    assert again.has_twin_uuid


def test_copy_with_another_file_system_than_the_source_is_refused() -> None:
    with pytest.raises(SourceFormatError, match="holds ext4"):
        disk_from(Source("p", "v/a@s", 1, EXT4), mount_capability("xfs"))


def test_snapshot_whose_volume_is_deleted_in_this_moment_is_tried_again(node: FakeNode) -> None:
    """The name under which the source is locked has moved: a repetition finds the new one."""
    volume = node.volumes.create(volume_spec())
    snapshot = node.snapshots.create(
        snapshot_name="snap-1", source_volume_id=volume.volume_id, parameters={}
    )
    sources = Sources(node.catalogue, LateLocks(lambda: node.volumes.delete(volume.volume_id)))
    with pytest.raises(SourceMovedError), sources.hold(snapshot.snapshot_id):
        pass
    with sources.hold(snapshot.snapshot_id) as source:
        assert source.name == f"v/D-{volume.volume_id.uid}@snap-1"
