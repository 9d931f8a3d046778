"""`put` and `get` of block devices."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.reflink import attached
from tests.unit.cli.store.conftest import Store, put

pytestmark = pytest.mark.root
SIZE = 16 << 20


@pytest.fixture(name="device")
def fixture_device(home: Path) -> Iterator[Path]:
    """A loop device with an ext4 on it."""
    image = home / "disk"
    image.write_bytes(b"")
    os.truncate(image, SIZE)
    _run("mkfs.ext4", "-q", image)
    with attached(image) as device:
        yield Path(device)


def test_device_is_kept_and_restored_in_place(store: Store, device: Path, home: Path) -> None:
    manifest_id = put(store, device)
    content = device.read_bytes()
    with device.open("r+b") as file:
        file.write(b"x" * (1 << 20))

    assert store("get", manifest_id, device).status == 1
    assert device.read_bytes() != content
    assert store("get", manifest_id, device, "--in-place").status == 0
    assert device.read_bytes() == content
    assert store("get", manifest_id, home / "file").status == 0
    assert (home / "file").read_bytes() == content


def test_mounted_device_is_never_written(store: Store, device: Path, home: Path) -> None:
    manifest_id = put(store, device)
    (home / "mnt").mkdir()
    _run("mount", device, home / "mnt")
    try:
        refused = store("get", manifest_id, device, "--in-place")
    finally:
        _run("umount", home / "mnt")

    assert refused.status == 1
    assert "is in use" in refused.err


def _run(*words: str | Path) -> str:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True, check=True)
    return done.stdout
