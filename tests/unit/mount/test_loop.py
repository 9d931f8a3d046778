"""Loop devices: never two for one file, whoever comes in between (rules.md A11)."""

import errno
import fcntl
import os
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from csi_zfs.domain.model import ImageFile
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount import loop_control
from csi_zfs.mount.api import (
    Device,
    DeviceBusyError,
    DeviceUnavailableError,
    MountRequest,
)
from csi_zfs.mount.loop import LoopDevices
from csi_zfs.system.clock import SystemClock
from tests.support.cleanup import loop_devices_below
from tests.support.clock import FakeClock
from tests.support.mounter_worlds import LinuxWorld

pytestmark = pytest.mark.root


class ActingClock(FakeClock):
    """A clock during whose first wait something happens."""

    def __init__(self, act: Callable[[], None]) -> None:
        super().__init__()
        self._act: Callable[[], None] | None = act

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        if self._act is not None:
            self._act()
        self._act = None


@pytest.fixture
def loops(node: LinuxWorld) -> LoopDevices:
    return LoopDevices(FakeClock())


@contextmanager
def opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    descriptor = os.open(path, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def losetup(*arguments: str | Path) -> str:
    command = ["losetup", *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def attribute(device: Device, name: str) -> str:
    return (Path("/sys/block") / device.path.name / name).read_text().strip()


def test_device_has_4096_byte_blocks_direct_io_and_outlives_the_driver(
    loops: LoopDevices, image: ImageFile
) -> None:
    """An XFS made over 512-byte blocks does not mount over 4096, and the other way round."""
    device = loops.attach(image)
    assert attribute(device, "queue/logical_block_size") == "4096"
    assert attribute(device, "loop/dio") == "1"
    assert attribute(device, "loop/autoclear") == "0"


def test_many_threads_that_attach_one_file_get_one_device(image: ImageFile, tmp_path: Path) -> None:
    """rules.md A11."""
    loops = LoopDevices(SystemClock())
    with ThreadPoolExecutor(8) as threads:
        devices = set(threads.map(loops.attach, [image] * 8))
    assert [device.path for device in devices] == loop_devices_below(tmp_path)


def test_many_threads_that_attach_files_get_a_device_each(
    node: LinuxWorld, loops: LoopDevices, tmp_path: Path
) -> None:
    images = [node.create_image(f"image{number}") for number in range(8)]
    with ThreadPoolExecutor(8) as threads:
        devices = list(threads.map(loops.attach, images))
    assert sorted(device.path for device in devices) == sorted(loop_devices_below(tmp_path))
    assert [loops.find(image.path) for image in images] == devices


def test_rival_that_attaches_in_between_keeps_its_device_and_ours_goes(
    loops: LoopDevices, image: ImageFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md A11: losetup does not know our lock."""
    configure = loop_control.configure
    rivals: list[str] = []

    def overtaken(descriptor: int, backing: int, name: Path) -> None:
        configure(descriptor, backing, name)
        rivals.append(losetup("--find", "--show", image.path))

    monkeypatch.setattr(loop_control, "configure", overtaken)
    assert [str(loops.attach(image).path)] == rivals
    assert loop_devices_below(tmp_path) == [Path(rivals[0])]


def test_file_that_others_have_attached_twice_is_refused(
    loops: LoopDevices, image: ImageFile
) -> None:
    """rules.md A11: neither of the two can be trusted."""
    for _ in range(2):
        losetup("--find", image.path)
    with pytest.raises(DeviceBusyError, match="attached twice"):
        loops.attach(image)


def test_device_that_a_rival_takes_first_is_replaced_by_another(
    node: LinuxWorld, loops: LoopDevices, image: ImageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = loops.attach(node.create_image("other"))
    free_index = loop_control.free_index
    answers = iter([taken.number[1]])
    monkeypatch.setattr(
        loop_control, "free_index", lambda control: next(answers, None) or free_index(control)
    )
    assert loops.attach(image).number != taken.number


def test_attach_without_a_free_device_is_unavailable(
    node: LinuxWorld, loops: LoopDevices, image: ImageFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = loops.attach(node.create_image("other"))
    monkeypatch.setattr(loop_control, "free_index", lambda _: taken.number[1])
    with pytest.raises(DeviceUnavailableError, match="no loop device"):
        loops.attach(image)


def test_attach_that_the_kernel_refuses_raises(
    loops: LoopDevices, image: ImageFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(loop_control, "configure", refuse)
    with pytest.raises(OSError, match="Invalid argument"):
        loops.attach(image)
    assert loop_devices_below(tmp_path) == []


def test_attach_makes_a_missing_node(image: ImageFile, tmp_path: Path) -> None:
    """A container has a /dev of its own."""
    devices = tmp_path / "dev"
    devices.mkdir()
    os.mknod(devices / "loop-control", 0o20600, Path("/dev/loop-control").stat().st_rdev)
    loops = LoopDevices(FakeClock(), devices)
    device = loops.attach(image)
    assert device.path.parent == devices
    assert loops.find(image.path) == device


def test_attach_takes_back_the_mark_that_a_crash_in_detach_left(
    loops: LoopDevices, image: ImageFile
) -> None:
    device = loops.attach(image)
    with opened(device.path) as descriptor, opened(device.path):
        loop_control.clear(descriptor)
        assert attribute(device, "loop/autoclear") == "1"
        assert loops.attach(image) == device
    assert attribute(device, "loop/autoclear") == "0"


def test_attach_waits_for_another_process_that_attaches(image: ImageFile) -> None:
    with opened(image.path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        loops = LoopDevices(ActingClock(lambda: fcntl.flock(file, fcntl.LOCK_UN)))
        assert loops.attach(image) == loops.find(image.path)


def test_attach_does_not_wait_for_ever(loops: LoopDevices, image: ImageFile) -> None:
    with opened(image.path) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(DeviceUnavailableError, match="locked"):
            loops.attach(image)


def test_attach_does_not_lock_the_file_for_longer(loops: LoopDevices, image: ImageFile) -> None:
    """The device keeps the file open, but not the opening that has the lock."""
    loops.attach(image)
    with opened(image.path) as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_detach_of_an_open_device_is_busy_and_does_not_happen_later(
    loops: LoopDevices, image: ImageFile
) -> None:
    """The kernel alone would say yes, and detach it in the middle of its next use."""
    device = loops.attach(image)
    with opened(device.path):
        with pytest.raises(OSError, match="busy"):
            loops.detach(image.path)
        assert attribute(device, "loop/autoclear") == "0"
    assert loops.find(image.path) == device


def test_detach_of_an_open_read_only_device_leaves_it_read_only(
    node: LinuxWorld, loops: LoopDevices, image: ImageFile
) -> None:
    device = node.mounter.attach(image, is_read_only=True)
    with opened(device.path), pytest.raises(OSError, match="busy"):
        loops.detach(image.path)
    assert attribute(device, "ro") == "1"


def test_detach_waits_for_a_short_look_at_the_device(image: ImageFile) -> None:
    """As udev's and blkid's."""
    descriptors: list[int] = []
    loops = LoopDevices(ActingClock(lambda: os.close(descriptors.pop())))
    descriptors.append(os.open(loops.attach(image).path, os.O_RDONLY))
    loops.detach(image.path)
    assert loops.find(image.path) is None


def test_detach_leaves_the_device_writable_for_its_next_user(
    node: LinuxWorld, image: ImageFile
) -> None:
    """The kernel keeps the switch, and losetup does not look."""
    device = node.mounter.attach(image, is_read_only=True)
    node.mounter.detach(image)
    assert attribute(device, "ro") == "0"


def test_device_that_goes_in_this_moment_serves_nothing(image: ImageFile, tmp_path: Path) -> None:
    """It is in the list, and does not open any more."""
    (tmp_path / "sys" / "loop9" / "loop").mkdir(parents=True)
    os.mknod(tmp_path / "loop9", 0o60600, os.makedev(511, 0))
    assert LoopDevices(FakeClock(), tmp_path, tmp_path / "sys").find(image.path) is None


def test_file_in_place_of_a_node_is_an_error(
    loops: LoopDevices, image: ImageFile, tmp_path: Path
) -> None:
    device = loops.attach(image)
    devices = tmp_path / "dev"
    devices.mkdir()
    (devices / device.path.name).touch()
    with pytest.raises(OSError, match="ioctl"):
        LoopDevices(FakeClock(), devices).find(image.path)


def test_device_on_a_dead_filesystem_keeps_no_other_file_from_its_device(
    node: LinuxWorld, image: ImageFile, stage: Path, loops: LoopDevices
) -> None:
    """rules.md B5: one dead disk must not stop the volumes of all others."""
    node.mounter.unmount(stage)
    disk = loops.attach(image)
    subprocess.run(["mkfs.xfs", "-q", "-f", disk.path], check=True)
    node.mounter.mount(MountRequest(disk, stage, "xfs"))
    lost = ImageFile(stage / "lost", MIB)
    lost.path.touch()
    os.truncate(lost.path, MIB)
    loops.attach(lost)
    subprocess.run(["xfs_io", "-x", "-c", "shutdown", stage], check=True)
    other = node.create_image("other")
    assert loops.find(other.path) is None
    device = loops.attach(other)
    assert loops.find(other.path) == device
    loops.detach(other.path)
    assert loops.find(other.path) is None
