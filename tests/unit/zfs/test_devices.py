"""Devices are found by what they say that they serve; a link is a guess (rules.md A7)."""

from pathlib import Path

import pytest

from csi_zfs.zfs.devices import DeviceLateError, ZvolDevices, zvol_name_at
from tests.support.clock import FakeClock

NAME = "tank/csi/v/a"


class Dev:
    """A directory that stands for /dev, and what its devices say."""

    def __init__(self, directory: Path, clock: FakeClock) -> None:
        self.directory = directory
        self.served: dict[Path, str] = {}
        self.devices = ZvolDevices(clock, dev=directory, name_at=self.served.get)

    def add(self, device: str, serves: str = "") -> Path:
        path = self.directory / device
        path.touch()
        if serves:
            self.served[path] = serves
        return path

    def link(self, device: str) -> None:
        link = self.directory / "zvol" / NAME
        link.parent.mkdir(parents=True)
        link.symlink_to(self.directory / device)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def dev(tmp_path: Path, clock: FakeClock) -> Dev:
    return Dev(tmp_path, clock)


def test_find_follows_the_link(dev: Dev) -> None:
    path = dev.add("zd16", NAME)
    dev.link("zd16")
    assert dev.devices.find(NAME) == path


def test_find_does_not_believe_a_link_to_another_device(dev: Dev) -> None:
    """rules.md A7."""
    dev.add("zd0", "tank/csi/v/other")
    path = dev.add("zd16", NAME)
    dev.link("zd0")
    assert dev.devices.find(NAME) == path


def test_find_without_link_or_with_a_dangling_one_looks_at_every_zvol(dev: Dev) -> None:
    path = dev.add("zd16", NAME)
    assert dev.devices.find(NAME) == path
    dev.link("zd99")
    assert dev.devices.find(NAME) == path


def test_find_passes_over_partitions_and_other_devices(dev: Dev) -> None:
    for device in ("zd16p1", "sda", "zd"):
        dev.add(device, NAME)
    dev.add("zd32")
    assert dev.devices.find(NAME) is None


def test_await_device_that_comes_late_is_found(dev: Dev, clock: FakeClock) -> None:
    class Late(FakeClock):
        def wait(self, seconds: float) -> None:
            super().wait(seconds)
            if self.monotonic_s() > 3:
                dev.add("zd16", NAME)

    devices = ZvolDevices(Late(), dev=dev.directory, name_at=dev.served.get)
    assert devices.await_device(NAME) == dev.directory / "zd16"


def test_await_device_that_never_comes_is_late_after_ten_seconds(
    dev: Dev, clock: FakeClock
) -> None:
    with pytest.raises(DeviceLateError, match=r"no device after 10 s"):
        dev.devices.await_device(NAME)
    assert 10 <= clock.monotonic_s() < 11


def test_is_gone_tells_a_device_that_went_or_serves_another(dev: Dev) -> None:
    path = dev.add("zd16", NAME)
    assert not dev.devices.is_gone(path, NAME)
    assert dev.devices.is_gone(path, "tank/csi/v/other")
    del dev.served[path]
    assert not dev.devices.is_gone(path, NAME), "it says nothing while it is taken down"
    path.unlink()
    assert dev.devices.is_gone(path, NAME)


def test_name_at_anything_but_a_zvol_is_nothing(tmp_path: Path) -> None:
    file = tmp_path / "zd0"
    assert zvol_name_at(file) is None
    file.write_bytes(b"no device")
    assert zvol_name_at(file) is None
    link = tmp_path / "link"
    link.symlink_to(file)
    assert zvol_name_at(link) is None
    assert zvol_name_at(Path("/dev/null")) is None
