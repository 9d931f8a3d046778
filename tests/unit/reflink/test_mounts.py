"""The loop device and the mount of a pool: what is found, and what is never done twice."""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.reflink.mounts import PoolBusyError, PoolMounts, parse_devices, parse_mounts
from csi_zfs.system.runner import CommandFailedError, CommandResult
from tests.support.clock import FakeClock

# As util-linux 2.38 prints it.
LOSETUP = """{
   "loopdevices": [
      {
         "name": "/dev/loop0",
         "back-ino": 10186203,
         "back-maj:min": "     254:0  "
      },{
         "name": "/dev/loop7",
         "back-ino": 12,
         "back-maj:min": "       7:0  "
      }
   ]
}
"""
MOUNTINFO = r"""21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
30 21 7:0 / /pool/mnt rw,nosuid,nodev,noexec,relatime - xfs /dev/loop0 rw,attr2
31 21 7:3 / /with\040space\134/mnt rw,relatime master:1 - xfs /dev/loop3 rw
32 30 0:40 / /pool/mnt rw,relatime - tmpfs none rw
"""


class ScriptedRunner:
    """A `Runner` that knows loop devices and fails at what it is told to."""

    def __init__(self, listing: str = "", *, failing: Sequence[str] = ()) -> None:
        self.listing = listing
        self.failing = set(failing)
        self.calls: list[tuple[str, ...]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float | None = None,
        expected: Sequence[int] = (0,),
    ) -> CommandResult:
        self.calls.append(tuple(argv))
        if self.failing & set(argv):
            raise CommandFailedError(argv, 1, "no")
        return CommandResult(0, self.listing if "--list" in argv else "/dev/loop9\n", "")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "pool.img"
    path.touch()
    return path


def listing_of(image: Path) -> str:
    found = image.stat()
    number = f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}"
    row = f'"name":"/dev/loop7","back-ino":{found.st_ino},"back-maj:min":"  {number} "'
    return f'{{"loopdevices":[{{{row}}}]}}'


def test_parse_devices_reads_what_losetup_prints() -> None:
    assert parse_devices(LOSETUP) == {
        ("254:0", 10186203): Path("/dev/loop0"),
        ("7:0", 12): Path("/dev/loop7"),
    }


@pytest.mark.parametrize("text", ["", "\n", '{"loopdevices": []}'])
def test_parse_devices_of_a_machine_without_any_is_empty(text: str) -> None:
    assert parse_devices(text) == {}


def test_parse_mounts_reads_what_is_on_top() -> None:
    mounts = parse_mounts(MOUNTINFO)
    assert mounts == {"/": "254:0", "/pool/mnt": "0:40", "/with space\\/mnt": "7:3"}


def test_ensure_attached_finds_the_device_of_the_inode_and_attaches_no_second(image: Path) -> None:
    """rules.md A11: two devices would be two caches over one file system."""
    runner = ScriptedRunner(listing_of(image))
    moved = image.rename(image.with_name("moved.img"))
    assert PoolMounts(runner, FakeClock()).ensure_attached(moved) == Path("/dev/loop7")
    assert len(runner.calls) == 1


def test_ensure_attached_takes_direct_io_where_the_file_system_has_it(image: Path) -> None:
    runner = ScriptedRunner()
    assert PoolMounts(runner, FakeClock()).ensure_attached(image) == Path("/dev/loop9")
    assert "--direct-io=on" in runner.calls[-1]
    assert runner.calls[-1][-1] == str(image)


def test_ensure_attached_does_without_direct_io_where_it_must(image: Path) -> None:
    runner = ScriptedRunner(failing=["--direct-io=on"])
    assert PoolMounts(runner, FakeClock()).ensure_attached(image) == Path("/dev/loop9")
    assert "--direct-io=on" not in runner.calls[-1]


def test_ensure_attached_that_fails_is_unavailable(image: Path) -> None:
    runner = ScriptedRunner(failing=["--find"])
    with pytest.raises(PoolUnavailableError, match="losetup"):
        PoolMounts(runner, FakeClock()).ensure_attached(image)


def test_ensure_unmounted_of_what_is_not_attached_is_no_error(image: Path) -> None:
    runner = ScriptedRunner()
    PoolMounts(runner, FakeClock()).ensure_unmounted(image, image.parent)
    assert len(runner.calls) == 1


def test_ensure_unmounted_waits_until_the_device_is_gone_and_not_for_ever(image: Path) -> None:
    """rules.md A12: "exported" is said only once the file is really free."""
    clock = FakeClock()
    with pytest.raises(PoolBusyError, match=r"pool\.img"):
        PoolMounts(ScriptedRunner(listing_of(image)), clock).ensure_unmounted(image, image.parent)
    assert 0 < clock.monotonic_s() <= 5


def test_mount_of_others_with_a_name_that_is_no_text_does_no_harm(
    image: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md B8: a tenant's subPath can lead to a directory called by any bytes."""
    table = image.with_name("mountinfo")
    table.write_bytes(
        MOUNTINFO.encode() + b"33 21 7:9 /\xff /pods/1/subpath rw - ext4 /dev/loop9 rw\n"
    )
    monkeypatch.setattr("csi_zfs.reflink.mounts._MOUNTINFO", table)
    mounts = PoolMounts(ScriptedRunner(), FakeClock())
    assert not mounts.is_mounted(image, image.parent)
