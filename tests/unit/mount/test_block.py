"""Block devices, opened by identity."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.domain.model import DeviceNode
from csi_zfs.domain.sizes import MIB
from csi_zfs.mount.api import Device, DeviceUnavailableError
from csi_zfs.mount.block import identify, opened_device, wait_for_device
from tests.support.clock import FakeClock
from tests.support.mounter_worlds import IMAGE_BYTES, LinuxWorld

pytestmark = pytest.mark.root


class LateLink(FakeClock):
    """A clock by which udev makes a link in its third moment."""

    def __init__(self, link: Path, node: Path) -> None:
        super().__init__()
        self._link, self._node = link, node
        self._moments = 0

    def wait(self, seconds: float) -> None:
        super().wait(seconds)
        self._moments += 1
        if self._moments == 3:
            self._link.symlink_to(self._node)


def test_wait_for_a_link_that_comes_late_gives_the_device(device: Device, tmp_path: Path) -> None:
    """rules.md A7."""
    link = tmp_path / "zvol"
    clock = LateLink(link, device.path)
    assert wait_for_device(DeviceNode(link, IMAGE_BYTES), clock) == device


def test_wait_for_a_link_that_never_comes_ends(tmp_path: Path) -> None:
    """rules.md A7."""
    clock = FakeClock()
    with pytest.raises(DeviceUnavailableError, match="No such file"):
        wait_for_device(DeviceNode(tmp_path / "zvol", IMAGE_BYTES), clock)
    assert 10 <= clock.monotonic_s() < 11


def test_wait_for_a_device_of_another_size_is_unavailable(device: Device) -> None:
    """rules.md A7: the link points at the wrong device."""
    with pytest.raises(DeviceUnavailableError, match="instead of"):
        wait_for_device(DeviceNode(device.path, IMAGE_BYTES + MIB), FakeClock())


@pytest.mark.parametrize("name", ["directory", "file", "pipe", "/dev/null"])
def test_other_files_are_no_devices(tmp_path: Path, name: str) -> None:
    """rules.md A7."""
    (tmp_path / "directory").mkdir()
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DeviceUnavailableError, match="not a block device"):
        identify(tmp_path / name)


def test_opening_a_path_that_leads_to_another_device_is_unavailable(
    node: LinuxWorld, device: Device
) -> None:
    """rules.md A7."""
    other = node.mounter.attach(node.create_image("other"))
    moved = replace(device, path=other.path)
    with pytest.raises(DeviceUnavailableError, match="is now device"), opened_device(moved, 0):
        pass


def test_opening_a_device_that_has_changed_its_size_is_unavailable(device: Device) -> None:
    """rules.md A7."""
    changed = replace(device, size_bytes=MIB)
    with pytest.raises(DeviceUnavailableError, match="instead of"), opened_device(changed, 0):
        pass
