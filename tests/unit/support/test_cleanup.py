"""What the root tests rely on to leave nothing behind."""

import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from csi_zfs.mount.api import MountRequest
from tests.support.cleanup import loop_devices_below, mounts_below, nothing_left_below
from tests.support.mounter_worlds import LinuxWorld

pytestmark = pytest.mark.root

_FIFREEZE = 0xC0045877


def test_nothing_is_left_of_frozen_stacked_and_bound_mounts(tmp_path: Path) -> None:
    with nothing_left_below(tmp_path):
        node = LinuxWorld(tmp_path)
        image = node.create_image("image")
        device = node.mounter.attach(image)
        node.mounter.format(device, "ext4")
        node.mounter.mount(MountRequest(device, node.root / "stage", "ext4"))
        node.mounter.bind(node.root / "stage", node.root / "pod", is_read_only=True)
        subprocess.run(["mount", "--bind", "--make-private", node.root, node.root], check=True)
        other = node.mounter.attach(node.create_image("other"))
        node.mounter.bind_device(other, node.root / "block")
        image.path.unlink()
        descriptor = os.open(node.root / "stage", os.O_RDONLY)
        fcntl.ioctl(descriptor, _FIFREEZE, 0)
        os.close(descriptor)
        assert len(mounts_below(tmp_path)) == 4
        assert len(loop_devices_below(tmp_path)) == 2
    assert mounts_below(tmp_path) == []
    assert loop_devices_below(tmp_path) == []


def test_failure_of_a_test_is_kept(tmp_path: Path) -> None:
    node = LinuxWorld(tmp_path)
    node.mounter.attach(node.create_image("image"))
    with pytest.raises(KeyError), nothing_left_below(tmp_path):
        raise KeyError
    assert loop_devices_below(tmp_path) == []
