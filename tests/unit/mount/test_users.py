"""Who uses the data of a volume, read from directories that look like /proc and /sys."""

from pathlib import Path

import pytest

from csi_zfs.domain.keepers import Process, Use, UseKind
from csi_zfs.domain.model import DeviceNode, ImageFile, NativeFilesystem
from csi_zfs.mount.users import Users

POD = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
ZVOL = DeviceNode(Path("/dev/zd16"), 1)
NATIVE = "42 1 0:29 / {} rw - zfs {} rw\n"
ON_ZVOL = "42 1 230:16 / {} rw - ext4 /dev/zd16 rw\n"


@pytest.fixture
def users(tmp_path: Path) -> Users:
    for name in ("proc/self", "sys/block/zd16/holders", "sys/block/zd16/queue"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "sys/block/zd16/dev").write_text("230:16\n")
    return Users(tmp_path / "proc", tmp_path / "sys")


def process(users: Users, pid: int, *, mounts: str = "", namespace: int = 1) -> Path:
    path = users.proc / str(pid)
    for name in ("fd", "ns"):
        (path / name).mkdir(parents=True)
    (path / "comm").write_text(f"name{pid}\n")
    (path / "cgroup").write_text("0::/system.slice\n")
    (path / "mountinfo").write_text(mounts)
    (path / "ns" / "mnt").symlink_to(f"mnt:[{namespace}]")
    return path


def test_unused_data_has_no_uses(users: Users) -> None:
    process(users, 17, mounts=NATIVE.format("/data", "tank/other"))
    for data in (ZVOL, ImageFile(Path("/srv/image"), 1), NativeFilesystem("tank/a", 1)):
        assert users.of(data) == ()


def test_mounts_of_a_file_system_are_told_once_for_each_namespace(users: Users) -> None:
    """rules.md B4: with those of its snapshots, and who is in the namespace."""
    process(users, 9, mounts=NATIVE.format("/data", "tank/a"), namespace=2)
    process(users, 10, mounts=NATIVE.format("/data", "tank/a"), namespace=2)
    process(users, 11, mounts=NATIVE.format("/a/.zfs/snapshot/s", "tank/a@s"), namespace=3)
    process(users, 12, mounts=NATIVE.format("/ab", "tank/ab"), namespace=4)
    both = (Process(9, "name9"), Process(10, "name10"))
    of_snapshot = Use(UseKind.MOUNT, "/a/.zfs/snapshot/s", (Process(11, "name11"),), 1, "mnt:[3]")
    assert users.of(NativeFilesystem("tank/a", 1)) == (
        Use(UseKind.MOUNT, "/data", both, 2, "mnt:[2]"),
        of_snapshot,
    )
    assert users.of(NativeFilesystem("tank/a@s", 1)) == (of_snapshot,)


def test_only_the_first_processes_of_a_namespace_are_named(users: Users) -> None:
    for pid in range(1, 20):
        process(users, pid, mounts=NATIVE.format("/data", "tank/a"))
    (use,) = users.of(NativeFilesystem("tank/a", 1))
    assert [one.pid for one in use.processes] == [1, 2, 3, 4, 5]
    assert use.process_count == 19


@pytest.mark.parametrize("pod", [POD, POD.replace("-", "_")])
def test_process_of_a_pod_names_it(users: Users, pod: str) -> None:
    path = process(users, 17, mounts=NATIVE.format("/data", "tank/a"))
    (path / "cgroup").write_text(f"0::/kubepods.slice/kubepods-pod{pod}.slice/cri-1.scope\n")
    (use,) = users.of(NativeFilesystem("tank/a", 1))
    assert use.processes == (Process(17, "name17", POD),)


def test_name_of_a_process_is_no_order_to_a_terminal(users: Users) -> None:
    path = process(users, 17, mounts=NATIVE.format(r"/a\033[2J", "tank/a"))
    (path / "comm").write_bytes(b"\x1b[2J\xff\n")
    (use,) = users.of(NativeFilesystem("tank/a", 1))
    assert use.processes[0].command == "?[2J\N{REPLACEMENT CHARACTER}"
    assert use.what == "/a?[2J"


def test_uses_of_a_zvol_are_mounts_by_its_number_and_nodes_that_are_bound(users: Users) -> None:
    """rules.md B4: a pod has a block volume's node at a path of its own."""
    process(users, 17, mounts=ON_ZVOL.format("/data"), namespace=2)
    node = "43 1 0:6 /zd16 /pods/dev rw - devtmpfs udev rw\n"
    process(users, 18, mounts=node, namespace=3)
    process(users, 19, mounts=node.replace("zd16", "zd160"), namespace=4)
    assert [(use.what, use.namespace) for use in users.of(ZVOL)] == [
        ("/data", "mnt:[2]"),
        ("/pods/dev", "mnt:[3]"),
    ]


def test_devices_above_a_zvol_are_named(users: Users) -> None:
    """rules.md B4."""
    block = users.sys / "block"
    for name in ("zd16/holders/dm-0", "zd16/zd16p1/holders/md127", "dm-0/dm", "loop3/loop"):
        (block / name).mkdir(parents=True)
    (block / "dm-0/dm/name").write_text("crypt\n")
    (block / "loop3/loop/backing_file").write_text("/dev/zd16\n")
    assert [(use.kind, use.what) for use in users.of(ZVOL)] == [
        (UseKind.DEVICE, "/dev/mapper/crypt"),
        (UseKind.DEVICE, "/dev/md127"),
        (UseKind.DEVICE, "/dev/loop3"),
    ]


def test_uses_of_an_image_are_its_loop_device_and_what_uses_that(users: Users) -> None:
    """rules.md B4: and processes that have the file itself open."""
    image = users.sys.parent / "image"
    image.touch()
    loop = users.sys / "block" / "loop7"
    (loop / "loop").mkdir(parents=True)
    (loop / "loop" / "backing_file").write_text(f"{image}\n")
    (loop / "dev").write_text("7:7\n")
    process(users, 17, mounts="42 1 7:7 / /data rw - xfs /dev/loop7 rw\n")
    (process(users, 18) / "fd" / "3").symlink_to(image)
    assert [(use.kind, use.what) for use in users.of(ImageFile(image, 1))] == [
        (UseKind.DEVICE, "/dev/loop7"),
        (UseKind.MOUNT, "/data"),
        (UseKind.OPEN, str(image)),
    ]


def test_what_ends_in_this_moment_is_passed_over(users: Users) -> None:
    """rules.md B8."""
    (users.proc / "16").mkdir()
    gone = process(users, 17)
    for name in ("mountinfo", "comm", "cgroup"):
        (gone / name).unlink()
    (gone / "fd" / "3").symlink_to("/dev/closed in this moment")
    (users.sys / "block" / "loop1" / "loop").mkdir(parents=True)
    (users.sys / "block" / "loop1" / "loop" / "backing_file").symlink_to("detached")
    assert users.of(ZVOL) == ()
    (users.sys / "block" / "zd16" / "dev").unlink()
    assert users.of(ZVOL) == ()


@pytest.mark.root
def test_processes_that_have_a_real_device_open_are_named(users: Users) -> None:
    """rules.md B4."""
    node = Path("/dev/loop0")
    number = Path("/sys/block/loop0/dev").read_text(encoding="ascii")
    (users.sys / "block" / "loop0").mkdir()
    (users.sys / "block" / "loop0" / "dev").write_text(number)
    (process(users, 17) / "fd" / "3").symlink_to(node)
    assert users.of(DeviceNode(node, 1)) == (
        Use(UseKind.OPEN, "/dev/loop0", (Process(17, "name17"),), 1),
    )
