"""The platform has what the driver's work on OpenZFS relies on."""

import errno
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.commands import run

SERVED = ("2.3.",)
USER_PROPERTY = b"io.csi-zfs:words"
SPARE_DISKS = sorted(Path("/dev/disk/by-id").glob("virtio-spare-*"))
READ_PROPERTY = b"""
arguments = ...
value, source = zfs.get_prop(arguments["argv"]["dataset"], "io.csi-zfs:words")
return {value = value, source = source}
"""


@pytest.fixture(name="dataset")
def fixture_dataset(zpool: str) -> bytes:
    """The name of a dataset that does not exist yet."""
    return f"{zpool}/{uuid.uuid4().hex}".encode()


@pytest.fixture(name="mounted")
def fixture_mounted(tmp_path: Path) -> Iterator[Callable[[bytes], Path]]:
    """Mounts a dataset and returns where; unmounted afterwards."""

    def mount(dataset: bytes) -> Path:
        run("mount", "-t", "zfs", "-o", "zfsutil", dataset.decode(), str(tmp_path))
        return tmp_path

    yield mount
    if tmp_path.is_mount():
        run("umount", str(tmp_path))


def test_module_and_commands_are_of_one_version_that_is_served(module_version: str) -> None:
    userland, module = run("zfs", "version").splitlines()
    assert userland.startswith(f"zfs-{module_version}-")
    assert module.startswith(f"zfs-kmod-{module_version}-")
    assert module_version.startswith(SERVED)


def test_libzfs_core_is_all_that_the_environment_sees_of_the_system(lzc: ModuleType) -> None:
    """The environment's own packages are locked; only what belongs to OpenZFS is the system's."""
    origin = Path(str(lzc.__file__))
    assert not origin.parent.is_relative_to("/usr")
    assert origin.resolve().is_relative_to("/usr/lib/python3/dist-packages")
    seen = sorted(path.name.partition(".")[0] for path in origin.parents[1].iterdir())
    assert seen == ["_cffi_backend", "cffi", "libzfs_core", "ply", "pycparser"]


def test_dataset_and_snapshot_are_made_and_destroyed(lzc: ModuleType, dataset: bytes) -> None:
    lzc.lzc_create(dataset, props={b"refquota": 1 << 30})
    lzc.lzc_snapshot([dataset + b"@s"])
    assert lzc.lzc_exists(dataset + b"@s")
    lzc.lzc_destroy_snaps([dataset + b"@s"], defer=False)
    lzc.lzc_destroy(dataset)
    assert not lzc.lzc_exists(dataset)


def test_channel_program_returns_a_value_and_where_it_comes_from(
    lzc: ModuleType, zpool: str, dataset: bytes
) -> None:
    lzc.lzc_create(dataset, props={USER_PROPERTY: b"set here"})
    lzc.lzc_create(dataset + b"/child")
    for name in (dataset, dataset + b"/child"):
        found = lzc.lzc_channel_program_nosync(
            zpool.encode(), READ_PROPERTY, params={b"dataset": name}
        )
        assert found == {b"value": b"set here", b"source": dataset}


def test_device_of_a_zvol_keeps_what_is_written(lzc: ModuleType, dataset: bytes) -> None:
    lzc.lzc_create(dataset, ds_type="zvol", props={b"volsize": 64 << 20})
    run("udevadm", "settle")
    device = Path("/dev/zvol") / dataset.decode()
    with device.open("r+b", buffering=0) as disk:
        disk.write(b"words" + bytes(4091))
        os.fsync(disk.fileno())
        assert disk.seek(0, os.SEEK_END) == 64 << 20
    with device.open("rb") as disk:
        assert disk.read(5) == b"words"


def test_file_system_on_a_zvol_is_mounted(lzc: ModuleType, dataset: bytes, tmp_path: Path) -> None:
    lzc.lzc_create(dataset, ds_type="zvol", props={b"volsize": 512 << 20})
    run("udevadm", "settle")
    device = f"/dev/zvol/{dataset.decode()}"
    run("mkfs.xfs", "-q", device)
    run("mount", device, str(tmp_path))
    try:
        (tmp_path / "file").write_text("words")
        run("fsfreeze", "--freeze", str(tmp_path))
        run("fsfreeze", "--unfreeze", str(tmp_path))
    finally:
        run("umount", str(tmp_path))


def test_file_on_a_mounted_dataset_is_attached_to_a_loop_device(
    lzc: ModuleType, dataset: bytes, mounted: Callable[[bytes], Path]
) -> None:
    lzc.lzc_create(dataset)
    file = mounted(dataset) / "image"
    with file.open("wb") as image:
        image.truncate(64 << 20)
    run("mkfs.ext4", "-q", str(file))
    device = run("losetup", "--find", "--show", str(file)).strip()
    assert "ext4" in run("blkid", device)
    # udev looks at a device for a moment, and holds the file system for as long.
    run("udevadm", "settle")
    run("losetup", "--detach", device)
    run("udevadm", "settle")


def test_injected_damage_is_an_error_and_not_data(
    lzc: ModuleType, dataset: bytes, mounted: Callable[[bytes], Path]
) -> None:
    """How later tests damage a pool: the checksum of a file's blocks is wrong from now on."""
    lzc.lzc_create(dataset)
    file = mounted(dataset) / "file"
    file.write_bytes(os.urandom(1 << 20))
    # What was just written would be read from memory.
    run("umount", str(file.parent))
    mounted(dataset)
    run("zinject", "-a", "-t", "data", "-e", "checksum", str(file))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EIO)):
            file.read_bytes()
    finally:
        run("zinject", "-c", "all")


def test_spare_disks_make_a_pool_with_redundancy() -> None:
    assert len(SPARE_DISKS) >= 2
    name = f"e2e-{uuid.uuid4().hex[:12]}"
    run("zpool", "create", "-O", "mountpoint=none", name, "mirror", *map(str, SPARE_DISKS[:2]))
    try:
        assert run("zpool", "list", "-H", "-o", "health", name).strip() == "ONLINE"
    finally:
        run("zpool", "destroy", name)
        for disk in SPARE_DISKS[:2]:
            run("wipefs", "--all", "--quiet", str(disk))
