"""This machine as a node, for the tests that need the real kernel (marker `root`)."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from csi_zfs.domain.model import ImageFile
from csi_zfs.mount.api import Device, MountRequest
from tests.support.cleanup import nothing_left_below
from tests.support.mounter_worlds import LinuxWorld


@pytest.fixture
def node(tmp_path: Path) -> Iterator[LinuxWorld]:
    with nothing_left_below(tmp_path):
        yield LinuxWorld(tmp_path)


@pytest.fixture
def image(node: LinuxWorld) -> ImageFile:
    return node.create_image("image")


@pytest.fixture
def device(node: LinuxWorld, image: ImageFile) -> Device:
    """A blank device."""
    return node.mounter.attach(image)


@pytest.fixture
def stage(node: LinuxWorld, device: Device) -> Path:
    """The device, formatted with ext4 and mounted."""
    node.mounter.format(device, "ext4")
    target = node.root / "stage"
    node.mounter.mount(MountRequest(device, target, "ext4"))
    return target
