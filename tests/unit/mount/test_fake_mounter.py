"""What the fake has beyond the contract: effects, crashes, a restart of the node."""

from pathlib import Path

import pytest

from csi_zfs.domain.model import ImageFile
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount.api import DeviceBusyError, DeviceUnavailableError, MountRequest, Probe
from tests.support.disk import FakeDisk
from tests.support.mounter import FakeMounter

IMAGE = ImageFile(Path("/images/image"), 320 * MIB)


class Crash(BaseException):
    """The end of the process."""


@pytest.fixture
def disk() -> FakeDisk:
    disk = FakeDisk()
    disk.create(IMAGE.path, IMAGE.size_bytes)
    return disk


@pytest.fixture
def mounter(disk: FakeDisk, tmp_path: Path) -> FakeMounter:
    return FakeMounter(disk, root=tmp_path)


def crash_at(mounter: FakeMounter, point: str) -> None:
    """Let the process end at its next effect of this name."""

    def effects(reached: str) -> None:
        if reached == point:
            mounter.effects = lambda _: None
            raise Crash

    mounter.effects = effects


def moments_of(name: str) -> tuple[str, ...]:
    has_half = name in {"format", "mount", "bind", "bind_device"}
    return ("before", "half", "after") if has_half else ("before", "after")


def test_every_effect_is_told_once(mounter: FakeMounter, tmp_path: Path) -> None:
    points: list[str] = []
    mounter.effects = points.append
    stage, pod, block = tmp_path / "stage", tmp_path / "pod", tmp_path / "block"
    for _ in range(2):
        device = mounter.attach(IMAGE)
    mounter.format(device, "ext4")
    for _ in range(2):
        mounter.mount(MountRequest(device, stage, "ext4"))
        mounter.bind(stage, pod, is_read_only=False)
        mounter.bind_device(device, block)
    with mounter.frozen([stage, pod], limit_s=60):
        pass
    for target in (pod, pod, stage, block):
        mounter.unmount(target)
    mounter.wipe(device)
    mounter.detach(IMAGE)
    mounter.detach(IMAGE)
    names = ["attach", "format", "mount", "bind", "bind_device", "freeze", "thaw"]
    names += ["unmount", "remove"] * 3 + ["wipe", "detach"]
    assert points == [f"{name}:{moment}" for name in names for moment in moments_of(name)]


def test_crash_within_a_format_leaves_what_is_neither_blank_nor_formatted(
    mounter: FakeMounter,
) -> None:
    device = mounter.attach(IMAGE)
    crash_at(mounter, "format:half")
    with pytest.raises(Crash):
        mounter.format(device, "ext4")
    assert mounter.probe(device) is Probe.OTHER
    mounter.wipe(device)
    mounter.format(device, "ext4")


def test_crash_in_a_frozen_block_leaves_it_frozen(
    mounter: FakeMounter, disk: FakeDisk, tmp_path: Path
) -> None:
    mounter.format(mounter.attach(IMAGE), "ext4")
    mounter.mount(MountRequest(mounter.attach(IMAGE), tmp_path / "stage", "ext4"))
    with pytest.raises(Crash), mounter.frozen([tmp_path / "stage"], limit_s=60):
        raise Crash
    assert disk.images[IMAGE.path].is_frozen
    with pytest.raises(BlockingIOError):
        mounter.write_file(tmp_path / "stage", "file", b"data")
    mounter.thaw(tmp_path / "stage")
    mounter.write_file(tmp_path / "stage", "file", b"data")


def test_reboot_forgets_devices_and_mounts_and_keeps_the_data(
    mounter: FakeMounter, disk: FakeDisk, tmp_path: Path
) -> None:
    device = mounter.attach(IMAGE)
    mounter.format(device, "ext4")
    mounter.mount(MountRequest(device, tmp_path / "stage", "ext4"))
    mounter.write_file(tmp_path / "stage", "file", b"data")
    mounter.reboot()
    assert mounter.mounted_at(tmp_path / "stage") is None
    assert mounter.find_device(IMAGE) is None
    assert not disk.images[IMAGE.path].is_attached
    with pytest.raises(DeviceUnavailableError):
        mounter.probe(device)
    mounter.mount(MountRequest(mounter.attach(IMAGE), tmp_path / "stage", "ext4"))
    assert mounter.read_file(tmp_path / "stage", "file") == b"data"
    with pytest.raises(FileNotFoundError):
        mounter.read_file(tmp_path / "stage", "other")


def test_detach_of_a_device_that_a_process_has_open_is_busy(mounter: FakeMounter) -> None:
    mounter.open_devices.add(mounter.attach(IMAGE).number)
    with pytest.raises(DeviceBusyError):
        mounter.detach(IMAGE)
