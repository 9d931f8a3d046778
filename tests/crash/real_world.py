"""What a real driver has made of a machine, as lines in which two moments can be compared."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from csi_zfs.mount.mountinfo import load_mountinfo
from tests.support.cleanup import loop_devices_below
from tests.support.process import RealDriver

_HEAD_BYTES = 32
# Of an ext4: how many inodes and blocks it has.
_SUPERBLOCK = slice(1024, 1032)
_CHANGING = (
    (re.compile(r"[0-9a-f]{32,}"), "<digest>"),
    (re.compile(r"[0-9]{19}"), "<time>"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "<uid>"),
)


def seen_of(driver: RealDriver, token: str, on_pool: Iterable[str]) -> list[str]:
    """What is on the pool, as its lines tell, on the node and in the driver's mind.

    `token` is what all names of a round begin with; names, ids and times are taken out.
    """
    lines = [
        *on_pool,
        *_on_node(driver.paths.root),
        *_below(driver.paths.kubelet_dir),
        *_remembered(driver.paths.state_dir),
        *_listed(driver),
    ]
    return sorted(_plain(line, token) for line in lines)


def _plain(line: str, token: str) -> str:
    line = line.replace(token, "<round>")
    for changing, name in _CHANGING:
        line = changing.sub(name, line)
    return line


def on_embedded_pool(driver: RealDriver) -> Iterator[str]:
    """Each file with what it holds: all of a record, the beginning of an image."""
    root = driver.paths.pool / "mnt"
    for path in root.rglob("*"):
        if path.is_dir():
            yield f"pool: {path.relative_to(root)}"
        elif path.suffix == ".json":
            yield f"pool: {path.relative_to(root)}: {path.read_text()}"
        else:
            size_bytes = path.stat().st_size
            yield f"pool: {path.relative_to(root)}: {size_bytes} bytes: {_beginning_of(path)!r}"


def _beginning_of(image: Path) -> bytes:
    with image.open("rb") as opened:
        begin = opened.read(_SUPERBLOCK.stop)
    return begin[:_HEAD_BYTES] + begin[_SUPERBLOCK]


def _on_node(root: Path) -> Iterator[str]:
    """Mounts with their file systems' sizes, and loop devices with their files."""
    for entry in load_mountinfo():
        target = Path(entry.mount_point)
        if target.is_relative_to(root):
            is_volume = target.is_dir() and target.name != "mnt"
            blocks = os.statvfs(target).f_blocks if is_volume else 0
            yield f"mount: {target.relative_to(root)} {entry.fs_type} {blocks} blocks"
    for device in loop_devices_below(root):
        backing_file = Path("/sys/block", device.name, "loop/backing_file").read_text().strip()
        read_only = Path("/sys/block", device.name, "ro").read_text().strip()
        yield f"loop: {Path(backing_file).relative_to(root)} ro={read_only}"


def _below(directory: Path) -> Iterator[str]:
    """The targets, and what the workloads see at them."""
    for path in directory.rglob("*"):
        if path.is_file() and path.name != "lost+found":
            yield f"target: {path.relative_to(directory)}: {path.read_text()}"
        else:
            yield f"target: {path.relative_to(directory)}"


def _remembered(directory: Path) -> Iterator[str]:
    for path in directory.iterdir():
        yield f"state: {path.name}: {path.read_text()}"


def _listed(driver: RealDriver) -> Iterator[str]:
    for volumes in driver.client.list_volumes():
        for volume in volumes:
            yield f"volume: {volume.volume_id} {volume.capacity_bytes}"
    for snapshots in driver.client.list_snapshots():
        for snapshot in snapshots:
            yield f"snapshot: {snapshot.snapshot_id} of {snapshot.source_volume_id}"
