"""Who uses a mount or a device, read from a directory that looks like /proc."""

import os
from pathlib import Path

import pytest

from csi_zfs.mount.api import Device
from csi_zfs.mount.holders import Holders
from csi_zfs.mount.mountinfo import MountEntry
from tests.support.clock import FakeClock

MOUNT = MountEntry(42, 1, (7, 3), "/", "/kubelet/pod", "rw", "ext4", "rw")
DEVICE = Device(Path("/dev/loop3"), (7, 3), 1)
LINE = "{mount_id} 1 7:3 / {mount_point} rw - ext4 /dev/loop3 rw\n"


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "mountinfo").touch()
    (tmp_path / "uptime").touch()
    return tmp_path


@pytest.fixture
def holders(proc: Path) -> Holders:
    return Holders(FakeClock(), proc)


def process(proc: Path, pid: int, *, cwd: str = "/", mounts: str = "", namespace: int = 1) -> Path:
    """A process without open files."""
    path = proc / str(pid)
    for name in ("fd", "fdinfo", "ns"):
        (path / name).mkdir(parents=True)
    (path / "comm").write_text(f"name{pid}\n")
    (path / "cwd").symlink_to(cwd)
    (path / "mountinfo").write_text(mounts)
    (path / "ns" / "mnt").symlink_to(f"mnt:[{namespace}]")
    return path


def test_no_holder_in_sight_is_said(holders: Holders, proc: Path) -> None:
    process(proc, 1)
    assert "not visible" in holders.of_mount(MOUNT)
    assert "not visible" in holders.of_device(DEVICE)


def test_holders_of_a_mount_are_mounts_below_it(holders: Holders, proc: Path) -> None:
    """rules.md B4."""
    table = LINE.format(mount_id=42, mount_point="/kubelet/pod")
    table += LINE.format(mount_id=43, mount_point="/kubelet/pod/inner")
    (proc / "self" / "mountinfo").write_text(table)
    assert holders.of_mount(MOUNT) == "the mount /kubelet/pod/inner"


@pytest.mark.parametrize("cwd", ["/kubelet/pod", "/kubelet/pod/a/b"])
def test_holders_of_a_mount_are_processes_that_work_in_it(
    holders: Holders, proc: Path, cwd: str
) -> None:
    """rules.md B4."""
    process(proc, 17, cwd=cwd)
    process(proc, 18, cwd="/kubelet/pod-two")
    assert holders.of_mount(MOUNT) == "process 17 (name17)"


def test_holders_of_a_mount_are_processes_with_a_file_on_it(holders: Holders, proc: Path) -> None:
    """rules.md B4."""
    for pid, mount_id in ((17, 42), (18, 421)):
        path = process(proc, pid)
        (path / "fdinfo" / "3").write_text(f"pos:\t0\nflags:\t02\nmnt_id:\t{mount_id}\nino:\t1\n")
    assert holders.of_mount(MOUNT) == "process 17 (name17)"


def test_holders_are_named_although_others_end_in_this_moment(holders: Holders, proc: Path) -> None:
    (proc / "16").mkdir()
    path = process(proc, 17)
    (path / "fdinfo" / "2").symlink_to("closed")
    (path / "fdinfo" / "3").write_text("pos:\t0\n")
    (path / "fdinfo" / "4").write_text("mnt_id:\t42\n")
    (path / "fd" / "2").symlink_to("/dev/closed in this moment")
    assert holders.of_mount(MOUNT) == "process 17 (name17)"
    assert "not visible" in holders.of_device(DEVICE)


def test_holders_of_a_device_are_mounts_in_any_namespace_once(holders: Holders, proc: Path) -> None:
    """rules.md B4."""
    table = LINE.format(mount_id=42, mount_point="/data")
    process(proc, 17, mounts=table, namespace=2)
    process(proc, 18, mounts=table, namespace=2)
    process(proc, 19)
    words = holders.of_device(DEVICE)
    assert words.count("mounted at /data") == 1
    assert "process 1" in words


def test_mounts_of_a_dataset_are_those_of_any_namespace(holders: Holders, proc: Path) -> None:
    """rules.md B4; an ext4 whose device has that name is another thing."""
    line = "42 1 0:29 / {} rw - {} tank/csi/v/a rw\n"
    process(proc, 17, mounts=line.format("/data", "zfs"), namespace=2)
    process(proc, 18, mounts=line.format("/other", "ext4"), namespace=3)
    assert holders.mounts_of_dataset("tank/csi/v/a") == (
        "mounted at /data (as process 17 (name17) sees it)"
    )
    assert holders.mounts_of_dataset("tank/csi/v/ab") == ""


def test_holders_of_a_device_are_processes_that_have_it_open(holders: Holders, proc: Path) -> None:
    """rules.md B4; only below /dev does a look at the file always return."""
    null = Path("/dev/null")
    for pid, link in ((17, null), (18, proc / "uptime")):
        (process(proc, pid) / "fd" / "3").symlink_to(link)
    assert "not visible" in holders.of_device(DEVICE), "/dev/null is no block device"


@pytest.mark.root
def test_holders_of_a_real_device_are_processes_that_have_it_open(
    holders: Holders, proc: Path
) -> None:
    """rules.md B4."""
    node = Path("/dev/loop0")
    number = node.stat().st_rdev
    (process(proc, 17) / "fd" / "3").symlink_to(node)
    device = Device(node, (os.major(number), os.minor(number)), 0)
    assert holders.of_device(device) == "process 17 (name17)"


def test_search_ends_in_time(proc: Path) -> None:
    """rules.md B4: a busy node has many processes."""

    class SlowClock(FakeClock):
        def monotonic_s(self) -> float:
            self.advance(0.6)
            return super().monotonic_s()

    for pid in range(1, 20):
        process(proc, pid, cwd="/kubelet/pod")
    assert Holders(SlowClock(), proc).of_mount(MOUNT).count("process") == 1


def test_only_the_first_holders_are_named(holders: Holders, proc: Path) -> None:
    for pid in range(1, 20):
        process(proc, pid, cwd="/kubelet/pod")
    assert holders.of_mount(MOUNT).count("process") == 5
