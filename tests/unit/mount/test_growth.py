"""Growth: by the kernel while mounted, else before the mount; read back (rules.md A10, A12)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest

from csi_zfs.domain.errors import CsiZfsError, UnavailableError
from csi_zfs.domain.model import ImageFile
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount import growth
from csi_zfs.mount.api import (
    Device,
    FilesystemDamagedError,
    GrowthForbiddenError,
    MountRequest,
)
from csi_zfs.mount.growth import Growth
from csi_zfs.system.runner import CommandFailedError, CommandResult, SystemRunner
from tests.support.mounter_worlds import IMAGE_BYTES, LinuxWorld

pytestmark = pytest.mark.root

GROWN_BYTES = IMAGE_BYTES + 64 * MIB


@dataclass
class FailingRunner:
    """Every command ends with one status."""

    status: int

    def run(
        self, argv: Sequence[str], *, timeout_s: float | None = None, expected: Sequence[int] = (0,)
    ) -> CommandResult:
        raise CommandFailedError(argv, self.status, "scripted")


def status_file(directory: Path, capabilities: str) -> Path:
    """What the kernel says of a process with these capabilities."""
    path = directory / "status"
    path.write_text(f"Name:\tcsi-zfs\nCapEff:\t{capabilities}\nThreads:\t1\n")
    return path


def limit(node: LinuxWorld, directory: Path, capabilities: str) -> None:
    """Let the node's mounter believe that it has these capabilities."""
    node.mounter._growth = Growth(SystemRunner(), status_file(directory, capabilities))


def grow_device(node: LinuxWorld, image: ImageFile) -> Device:
    return node.mounter.attach(node.grow_image(image, GROWN_BYTES))


def test_capability_is_read_from_the_kernel() -> None:
    assert Growth(SystemRunner()).may_grow_mounted_ext4() in {True, False}


def test_mounted_ext4_grows_where_the_kernel_lets_it(
    node: LinuxWorld, image: ImageFile, stage: Path
) -> None:
    """rules.md A10."""
    if not Growth(SystemRunner()).may_grow_mounted_ext4():
        pytest.skip("needs CAP_SYS_RESOURCE")
    before = node.mounter.usage(stage)[0].total
    mounted = node.mounter.mounted_at(stage)
    assert mounted is not None
    for _ in range(2):
        node.mounter.grow(grow_device(node, image), mounted)
        assert node.mounter.usage(stage)[0].total > before + 60 * MIB


def test_read_only_mount_of_a_filesystem_grows_too(
    node: LinuxWorld, image: ImageFile, device: Device
) -> None:
    """A clone that was restored larger, published read-only."""
    node.mounter.format(device, "xfs")
    target = node.root / "stage"
    mounted = node.mounter.mount(MountRequest(device, target, "xfs", is_read_only=True))
    before = node.mounter.usage(target)[0].total
    node.mounter.grow(grow_device(node, image), mounted)
    assert node.mounter.usage(target)[0].total == before + 64 * MIB
    assert node.mounter.mounted_at(target) == mounted


def test_ext4_that_fills_its_device_is_left_alone(
    node: LinuxWorld, device: Device, stage: Path
) -> None:
    mounted = node.mounter.mounted_at(stage)
    assert mounted is not None
    node.mounter.grow(device, mounted)


def without_ioctl(monkeypatch: pytest.MonkeyPatch, fault: OSError | None) -> None:
    """Let the kernel refuse to grow an ext4, or say yes and do nothing."""

    def ioctl(*_: object) -> None:
        if fault is not None:
            raise fault

    monkeypatch.setattr(growth, "fcntl", SimpleNamespace(ioctl=ioctl))


@pytest.mark.parametrize(
    ("capabilities", "error"),
    [("000001fffeffffff", GrowthForbiddenError), ("000001ffffffffff", FilesystemDamagedError)],
)
def test_mounted_ext4_that_may_not_grow_says_why(
    node: LinuxWorld,
    image: ImageFile,
    stage: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    tmp_path: Path,
    capabilities: str,
    error: type[CsiZfsError],
) -> None:
    """The kernel says the same to a process without the capability and to damage on the disk."""
    limit(node, tmp_path, capabilities)
    mounted = node.mounter.mounted_at(stage)
    assert mounted is not None
    device = grow_device(node, image)
    without_ioctl(monkeypatch, PermissionError(1, "Operation not permitted"))
    with pytest.raises(error):
        node.mounter.grow(device, mounted)


def test_growth_that_did_not_happen_is_found_out(
    node: LinuxWorld, image: ImageFile, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md A12."""
    mounted = node.mounter.mounted_at(stage)
    assert mounted is not None
    device = grow_device(node, image)
    without_ioctl(monkeypatch, None)
    with pytest.raises(FilesystemDamagedError, match="after it was grown"):
        node.mounter.grow(device, mounted)


def test_ext4_grows_before_its_mount_where_it_cannot_afterwards(
    node: LinuxWorld, image: ImageFile, stage: Path, tmp_path: Path
) -> None:
    """A clone with a log to replay, restored larger."""
    limit(node, tmp_path, "000001fffeffffff")
    before = node.mounter.usage(stage)[0].total
    node.write_file(stage, "file", b"synced")
    clone = grow_device(node, node.clone_image(image, "clone"))
    target = node.root / "clone"
    mounted = node.mounter.mount(MountRequest(clone, target, "ext4"))
    assert node.mounter.usage(target)[0].total > before + 60 * MIB
    assert node.read_file(target, "file") == b"synced"
    node.mounter.grow(clone, mounted)


def test_mount_with_the_capability_leaves_growth_to_its_caller(
    node: LinuxWorld, image: ImageFile, stage: Path, tmp_path: Path
) -> None:
    limit(node, tmp_path, "000001ffffffffff")
    before = node.mounter.usage(stage)[0].total
    node.mounter.unmount(stage)
    node.mounter.mount(MountRequest(grow_device(node, image), stage, "ext4"))
    assert node.mounter.usage(stage)[0].total == before


@pytest.mark.parametrize(("status", "error"), [(4, FilesystemDamagedError), (8, UnavailableError)])
def test_ext4_that_its_check_does_not_pass_is_not_mounted(
    node: LinuxWorld,
    image: ImageFile,
    device: Device,
    *,
    tmp_path: Path,
    status: int,
    error: type[CsiZfsError],
) -> None:
    """Status 4 is damage that e2fsck does not repair by itself, 8 says nothing about the data."""
    node.mounter.format(device, "ext4")
    device = grow_device(node, image)
    withheld = status_file(tmp_path, "0000000000000000")
    node.mounter._growth = Growth(FailingRunner(status), withheld)
    with pytest.raises(error, match="e2fsck ended with status"):
        node.mounter.mount(MountRequest(device, node.root / "stage", "ext4"))
    assert node.mounter.targets_of(device) == []


@pytest.mark.parametrize(
    ("size_mib", "device_mib", "can_grow"),
    [(0, 320, False), (320, 320, False), (319, 320, True), (256, 264, False), (256, 272, True)],
)
def test_ext4_grows_by_whole_groups_or_within_its_last_one(
    size_mib: int, device_mib: int, *, can_grow: bool
) -> None:
    """Else an end that is too small would be tried again at every mount."""
    device = Device(Path("/dev/any"), (0, 0), device_mib * MIB)
    assert growth._Ext4(size_mib * MIB, 4096).can_grow_on(device) is can_grow
