"""The power goes on a real file system: what a local storage said it had written is there.

As `test_reflink_power_cut`: XFS is shut down without its log, unmounted and mounted again.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import make_local_storage
from csi_zfs.domain.sizes import MIB
from csi_zfs.reflink.mounts import PoolMounts
from csi_zfs.system.clock import SystemClock
from csi_zfs.system.files import Files
from csi_zfs.system.runner import SystemRunner
from tests.support.cleanup import nothing_left_below
from tests.support.power_cut import HurriedFiles
from tests.support.reflink import shut_down

pytestmark = [pytest.mark.root, pytest.mark.slow]
PACK = bytes(range(256)) * 4096


class Disk:
    """An XFS in an image file, whose power can be cut."""

    def __init__(self, directory: Path) -> None:
        self._mounts = PoolMounts(SystemRunner(), SystemClock())
        self._image = directory / "xfs.img"
        self.top = directory / "xfs"
        self.top.mkdir()
        Files().create_sparse(self._image, 320 * MIB)
        self._mounts.format(self._image)
        self._mounts.ensure_mounted(self._image, self.top)

    def cut_power(self) -> None:
        shut_down(self.top)
        self._mounts.ensure_unmounted(self._image, self.top)
        self._mounts.ensure_mounted(self._image, self.top)

    def end(self) -> None:
        self._mounts.ensure_unmounted(self._image, self.top)
        self._image.unlink()


def write_everything(storage: LocalObjects) -> None:
    for key in ("packs/ab/old", "packs/cd/gone"):
        storage.put(key, PACK)
    tag = storage.put_new("collector/epoch", b"1")
    storage.replace("collector/epoch", b"2", tag)
    storage.put_new("journal/1", b"one")
    storage.delete(["packs/cd/gone"])


def after_a_power_cut(
    tmp_path: Path, files: Files, act: Callable[[LocalObjects], None]
) -> dict[str, bytes]:
    with nothing_left_below(tmp_path):
        disk = Disk(tmp_path)
        try:
            make_local_storage(disk.top / "objects")
            act(LocalObjects(disk.top / "objects", files))
            disk.cut_power()
            storage = LocalObjects(disk.top / "objects")
            return {info.key: storage.get(info.key).data for info in storage.list("")}
        finally:
            disk.end()


def test_what_was_written_survives_a_power_cut(tmp_path: Path) -> None:
    found = after_a_power_cut(tmp_path, Files(), write_everything)
    assert found == {"packs/ab/old": PACK, "collector/epoch": b"2", "journal/1": b"one"}


def test_cut_forgets_what_was_not_synced(tmp_path: Path) -> None:
    """The control: without syncs nothing is there."""
    assert after_a_power_cut(tmp_path, HurriedFiles(), write_everything) == {}
