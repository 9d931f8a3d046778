"""Real embedded pools, and what they hold, for tests that are marked `root`."""

import fcntl
import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.domain.sizes import GIB
from csi_zfs.reflink.creation import create_pool
from csi_zfs.reflink.datasets import ReflinkDatasets
from csi_zfs.reflink.layout import IMAGE, RECORD
from csi_zfs.reflink.mounts import PoolMounts
from csi_zfs.reflink.place import Tools
from csi_zfs.reflink.pools import export_pool, open_pool
from csi_zfs.system.clock import SystemClock
from csi_zfs.system.digest import hex_digest_of
from csi_zfs.system.files import Files
from csi_zfs.system.runner import SystemRunner
from tests.support.cleanup import loop_devices_below, nothing_left_below

_XFS_IOC_GOINGDOWN = 0x8004587D
_NO_LOG_FLUSH = 2
_CONTENT_BYTES = 1 << 20


@contextmanager
def real_pool(
    tmp_path: Path,
    *,
    size_bytes: int = 2 * GIB,
    name: str = "pool",
    thin_ratio: float = 4.0,
    reserve_percent: int = 5,
    tools: Tools | None = None,
) -> Iterator[ReflinkDatasets]:
    """A fresh pool in a sparse image file at `<tmp_path>/<name>`, exported at the end.

    What a test attaches or mounts of the pool's volumes it must detach itself, or the end fails.
    """
    with pool_path(tmp_path, size_bytes=size_bytes, name=name) as path:
        datasets = open_pool(
            path, name=name, thin_ratio=thin_ratio, reserve_percent=reserve_percent, tools=tools
        )
        try:
            yield datasets
        finally:
            datasets.close()


@contextmanager
def pool_path(tmp_path: Path, *, size_bytes: int = 2 * GIB, name: str = "pool") -> Iterator[Path]:
    """The path of a fresh pool that nobody has opened; exported at the end."""
    with nothing_left_below(tmp_path / name) as path:
        create_pool(path, size_bytes=size_bytes)
        try:
            yield path
        finally:
            delete_pool(path)


def delete_pool(path: Path) -> None:
    """Export a pool and delete its image: even an empty one takes 66 MiB, and pytest keeps it."""
    export_pool(path)
    (path / "pool.img").unlink()


@contextmanager
def xfs_directory(tmp_path: Path, *, size_bytes: int = GIB) -> Iterator[Path]:
    """An empty directory on an XFS of its own, which can hold directory pools."""
    image, directory = tmp_path / "xfs.img", tmp_path / "xfs"
    mounts = PoolMounts(SystemRunner(), SystemClock())
    with nothing_left_below(tmp_path):
        Files().create_sparse(image, size_bytes)
        mounts.format(image)
        directory.mkdir()
        mounts.ensure_mounted(image, directory)
        try:
            yield directory
        finally:
            mounts.ensure_unmounted(image, directory)
            image.unlink()


@contextmanager
def tmpfs(path: Path, size: str) -> Iterator[Path]:
    """A small file system without reflinks for the length of a `with` block."""
    path.mkdir(exist_ok=True)
    runner = SystemRunner()
    runner.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(path)])
    try:
        yield path
    finally:
        runner.run(["umount", str(path)])


@contextmanager
def attached(image: Path, *options: str) -> Iterator[str]:
    """A loop device for an image; it is really gone at the end."""
    runner = SystemRunner()
    device = runner.run(["losetup", "--find", "--show", *options, str(image)]).output.strip()
    try:
        yield device
    finally:
        runner.run(["losetup", "--detach", device])
        # Somebody else on this machine may have it open for a moment.
        while Path(device) in loop_devices_below(image.parent):
            SystemClock().wait(0.01)


def shut_down(directory: Path) -> None:
    """Stop an XFS as a power cut would: what its log has not on the disk is lost."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.ioctl(descriptor, _XFS_IOC_GOINGDOWN, struct.pack("I", _NO_LOG_FLUSH))
    finally:
        os.close(descriptor)


def top_of(datasets: ReflinkDatasets) -> Path:
    """The directory of an open pool's layout."""
    return datasets._engine.layout.root


def image_of(datasets: ReflinkDatasets, name: str) -> Path:
    """The image file of a dataset or a snapshot."""
    return datasets._engine.image_of(name)


def write_content(datasets: ReflinkDatasets, name: str, data: bytes) -> None:
    """Write to the start of a dataset, durably."""
    with image_of(datasets, name).open("r+b", buffering=0) as image:
        image.write(data)
        os.fsync(image.fileno())


def contents_of(top: Path) -> dict[str, object]:
    """Everything below a pool's top directory, without what differs from run to run.

    Directories, files, the length and the first MiB of the images, the records less their uids and
    times; leftovers of any kind are seen.
    """
    return {
        str(path.relative_to(top)): _content_of(path)
        for path in sorted(top.rglob("*"))
        if path.name != "pool.json"
    }


def promises_of(contents: dict[str, object]) -> dict[str, object]:
    """The part of `contents_of` that a caller sees: names and records."""
    return {name: content for name, content in contents.items() if name.endswith(RECORD)}


def _content_of(path: Path) -> object:
    if path.is_symlink() or path.is_dir():
        return "directory"
    if path.name == RECORD:
        record = json.loads(path.read_bytes().splitlines()[0])
        return {key: record[key] for key in record.keys() - {"uid", "created_ns"}}
    if path.name == IMAGE:
        with path.open("rb") as image:
            return (path.stat().st_size, hex_digest_of(image.read(_CONTENT_BYTES)))
    return "file"
