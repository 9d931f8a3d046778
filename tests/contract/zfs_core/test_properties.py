"""Contract of properties: who has which, whose they are, and what `zfs` and `zpool` do."""

import errno
import json
from collections.abc import Sequence

import pytest

from csi_zfs.domain.sizes import KIB, MIB, TIB
from csi_zfs.system.runner import CommandFailedError
from tests.contract.zfs_core.world import FILESYSTEM, VOLMODE_NONE, ZVOL, World, errno_of

OF, OWN = "io.csi-zfs:of", "io.csi-zfs:own"


def status_of(zfs: World, *argv: str) -> int:
    with pytest.raises(CommandFailedError) as caught:
        zfs.runner.run(argv)
    return caught.value.status


def test_user_property_is_inherited_from_above_and_never_from_an_origin(zfs: World) -> None:
    zfs.make("bare")
    zfs.make("z", **{OF: "z"})
    for name in ("bare@s", "z@s"):
        zfs.take(name)
    zfs.core.snapshot([zfs.full("z@own")], {OWN: "snapshot", OF: "of its own"})
    zfs.core.clone(zfs.full("c"), zfs.full("z@own"), {"volmode": VOLMODE_NONE})
    found = {name: zfs.get(name, OF) for name in ("", "bare", "bare@s", "z", "z@s", "z@own", "c")}
    assert found == {
        "": ["parent", "p"],
        "bare": ["parent", "p"],
        "bare@s": ["parent", "p"],
        "z": ["z", "p/z"],
        "z@s": ["z", "p/z"],
        "z@own": ["of its own", "p/z@own"],
        "c": ["parent", "p"],
    }
    assert zfs.get("z@own", OWN) == ["snapshot", "p/z@own"]
    assert [zfs.get(name, OWN) for name in ("z", "c", "z@s")] == [[], [], []]


def test_source_of_a_user_property_follows_a_rename(zfs: World) -> None:
    zfs.make("z", **{OF: "z"})
    zfs.core.snapshot([zfs.full("z@s")], {OWN: "s"})
    zfs.core.rename(zfs.full("z"), zfs.full("y"))
    assert zfs.get("y", OF) == ["z", "p/y"]
    assert zfs.get("y@s", OF) == ["z", "p/y"]
    assert zfs.get("y@s", OWN) == ["s", "p/y@s"]


def test_native_properties_of_each_kind(zfs: World) -> None:
    zfs.core.create(zfs.full("f"), FILESYSTEM, {"quota": MIB})
    zfs.core.create(zfs.full("z"), ZVOL, {"volsize": MIB, "refreservation": 2 * MIB})
    zfs.core.snapshot([zfs.full("z@s")])
    zfs.core.clone(zfs.full("c"), zfs.full("z@s"), {"compression": 15})
    names = ("f", "z", "z@s", "c")
    found = {
        key: [zfs.get(name, key) for name in names]
        for key in ("type", "volsize", "refreservation", "quota", "volmode", "compression")
    }
    assert found == {
        "type": [["filesystem"], ["volume"], ["snapshot"], ["volume"]],
        "volsize": [[], [MIB, "p/z"], [MIB, "p/z@s"], [MIB, "p/c"]],
        "refreservation": [[0, "default"], [2 * MIB, "p/z"], [], [0, "default"]],
        "quota": [[MIB, "p/f"], [], [], []],
        "volmode": [["dev", "p"], ["dev", "p"], [], ["dev", "p"]],
        "compression": [["on", "default"], ["on", "default"], [], ["lz4", "p/c"]],
    }
    of_snapshots = {key: [zfs.get(name, key) for name in names] for key in ("defer_destroy",)}
    assert of_snapshots == {"defer_destroy": [[], [], ["off"], []]}
    assert [zfs.get(name, "userrefs") for name in names] == [[], [], [0], []]
    assert [zfs.get(name, "origin") for name in names] == [[], [], [], ["p/z@s"]]


def test_property_that_nobody_set_has_its_default(zfs: World) -> None:
    zfs.core.create(zfs.full("f"), FILESYSTEM, {})
    zfs.make("z")
    of_both = {
        **dict.fromkeys(("checksum", "compression"), "on"),
        **dict.fromkeys(("primarycache", "redundant_metadata", "secondarycache"), "all"),
        "copies": "1",
        "dedup": "off",
        "logbias": "latency",
        "refreservation": 0,
        "sync": "standard",
    }
    of_file_systems = {
        **dict.fromkeys(("atime", "relatime", "xattr"), "on"),
        "acltype": "off",
        "dnodesize": "legacy",
        "recordsize": 128 * KIB,
        "snapdir": "hidden",
        "special_small_blocks": 0,
    }
    assert {key: zfs.get("f", key) for key in of_both | of_file_systems} == {
        key: [value, "default"] for key, value in (of_both | of_file_systems).items()
    }
    assert {key: zfs.get("z", key) for key in of_both | of_file_systems} == {
        key: [value, "default"] if key in of_both else []
        for key, value in (of_both | of_file_systems).items()
    }
    assert [zfs.get(name, "snapdev") for name in ("f", "z")] == [["hidden", "default"]] * 2
    assert [zfs.get(name, "keystatus") for name in ("f", "z")] == [["none"]] * 2


def test_file_system_has_properties_of_its_own(zfs: World) -> None:
    zfs.core.create(zfs.full("f"), FILESYSTEM, {"refquota": MIB, "mountpoint": "legacy"})
    # A program hears the defaults of what is kept among the files.
    zfs.core.create(zfs.full("g"), FILESYSTEM, {"utf8only": 1, "normalization": 0x10})
    zfs.make("z")
    keys = ("refquota", "readonly", "casesensitivity", "normalization", "utf8only", "volblocksize")
    found = {name: [zfs.get(name, key) for key in keys] for name in ("f", "g", "z")}
    assert found == {
        "f": [[MIB, "p/f"], ["off", "default"], ["sensitive"], ["none"], ["off"], []],
        "g": [[0, "default"], ["off", "default"], ["sensitive"], ["none"], ["off"], []],
        "z": [[], ["off", "default"], [], [], [], [16384]],
    }
    settings = ["mountpoint=none", "readonly=on", f"refquota={2 * MIB}"]
    zfs.runner.run(["zfs", "set", "-u", *settings, zfs.full("f")])
    assert zfs.get("f", "refquota") == [2 * MIB, "p/f"]
    assert zfs.get("f", "readonly") == ["on", "p/f"]


def test_what_is_written_is_told_from_what_is_new(zfs: World) -> None:
    device = zfs.make_with_device("z")
    zfs.core.create(zfs.full("f"), FILESYSTEM, {})
    [of_zvol], [of_file_system] = (zfs.get(name, "logicalreferenced") for name in ("z", "f"))
    assert (of_zvol, of_file_system) == (6144, 12288)
    zfs.machine.write(device, b"x" * 65536)
    [written] = zfs.get("z", "logicalreferenced")
    assert isinstance(written, int)
    assert written > 65536


def test_guid_is_a_signed_number_that_a_rename_keeps(zfs: World) -> None:
    zfs.make("z")
    zfs.take("z@s")
    before = [*zfs.get("z", "guid"), *zfs.get("z@s", "guid")]
    zfs.core.rename(zfs.full("z"), zfs.full("y"))
    assert [*zfs.get("y", "guid"), *zfs.get("y@s", "guid")] == before
    assert all(isinstance(number, int) and -(1 << 63) <= number < 1 << 63 for number in before)
    assert before[0] != before[1]


def test_creation_is_in_seconds(zfs: World) -> None:
    zfs.make("z")
    zfs.take("z@s")
    for name in ("z", "z@s"):
        [created_s] = zfs.get(name, "creation")
        assert isinstance(created_s, int)
        assert 1_600_000_000 < created_s < 4_000_000_000


def test_quota_and_reservations_count_in_what_is_available(zfs: World) -> None:
    zfs.runner.run(["zfs", "set", f"quota={64 * MIB}", zfs.parent])
    used, available = _room(zfs)
    assert used + available == 64 * MIB
    zfs.make("z", volsize=32 * MIB, refreservation=32 * MIB)
    assert _room(zfs)[1] <= available - 32 * MIB
    more = {"volsize": 32 * MIB, "refreservation": 33 * MIB}
    assert errno_of(lambda: zfs.make("more", **more)) == errno.ENOSPC
    zfs.make("thin", volsize=256 * MIB)
    zfs.runner.run(["zfs", "set", "refreservation=none", zfs.full("z")])
    assert zfs.get("z", "refreservation") == [0, "p/z"]
    assert sum(_room(zfs)) == 64 * MIB
    assert _room(zfs)[1] > available - MIB
    zfs.make("more", **more)


def test_zfs_set_sets_what_it_can_and_fails_for_the_rest(zfs: World) -> None:
    name = zfs.make("z")
    assert status_of(zfs, "zfs", "set", f"refreservation={TIB}", f"volsize={2 * MIB}", name) != 0
    assert zfs.get("z", "volsize") == [2 * MIB, "p/z"]
    assert zfs.get("z", "refreservation") == [0, "default"]
    zfs.runner.run(["zfs", "set", "compression=lz4", f"refreservation={3 * MIB}", name])
    assert zfs.get("z", "compression") == ["lz4", "p/z"]
    assert zfs.get("z", "refreservation") == [3 * MIB, "p/z"]


@pytest.mark.parametrize(
    "settings",
    [
        ["volsize=1000000"],
        [f"refreservation={TIB}"],
        ["compression=nonesuch"],
        ["nonesuch=1"],
        [f"io.csi-zfs:long={'x' * 8192}"],
        ["compression=lz4", "nonesuch=1"],
    ],
    ids=["odd size", "no room", "no value", "no property", "long value", "one of two"],
)
def test_zfs_set_refuses(zfs: World, settings: Sequence[str]) -> None:
    name = zfs.make("z")
    assert status_of(zfs, "zfs", "set", *settings, name) != 0
    assert zfs.get("z", "volsize") == [MIB, "p/z"]
    assert zfs.get("z", "compression") == ["on", "default"]


def test_zfs_commands_refuse_what_is_not_there(zfs: World) -> None:
    for name in (zfs.full("no"), zfs.full("no@s"), "nopool/x"):
        assert status_of(zfs, "zfs", "set", f"{OF}=x", name) == 1
        assert status_of(zfs, "zfs", "inherit", "volmode", name) == 1


def test_zfs_sets_and_inherits_properties_of_datasets_and_snapshots(zfs: World) -> None:
    zfs.make("z")
    zfs.take("z@s")
    for name in ("z", "z@s"):
        zfs.runner.run(["zfs", "set", f"{OF}=1 01 torn = x", zfs.full(name)])
        assert zfs.get(name, OF) == ["1 01 torn = x", f"p/{name}"]
        zfs.runner.run(["zfs", "inherit", OF, zfs.full(name)])
    assert zfs.get("z@s", OF) == ["parent", "p"]
    assert zfs.get("z", "volmode") == ["none", "p/z"]
    zfs.runner.run(["zfs", "inherit", "volmode", zfs.full("z")])
    assert zfs.get("z", "volmode") == ["dev", "p"]
    assert status_of(zfs, "zfs", "inherit", "refreservation", zfs.full("z")) == 1


def test_device_goes_with_volmode_none_and_comes_back(zfs: World) -> None:
    device = zfs.make_with_device("z")
    zfs.runner.run(["zfs", "set", "volmode=none", zfs.full("z")])
    zfs.machine.settle()
    zfs.await_that(lambda: zfs.devices.is_gone(device, zfs.full("z")))
    assert zfs.devices.find(zfs.full("z")) is None
    zfs.runner.run(["zfs", "inherit", "volmode", zfs.full("z")])
    zfs.devices.await_device(zfs.full("z"))


def test_device_of_a_zvol_that_is_open_stays_and_opens_no_more(zfs: World) -> None:
    device = zfs.make_with_device("z")
    with zfs.machine.opened(device):
        zfs.runner.run(["zfs", "set", "volmode=none", zfs.full("z")])
        zfs.machine.settle()
        assert not zfs.devices.is_gone(device, zfs.full("z"))
        assert zfs.devices.find(zfs.full("z")) is None
        zfs.runner.run(["zfs", "inherit", "volmode", zfs.full("z")])
    assert zfs.devices.await_device(zfs.full("z")).exists()


def test_zpool_shows_the_pool_or_says_no(zfs: World) -> None:
    for options in (["-j"], ["-j", "--json-int"]):
        shown = zfs.runner.run(["zpool", "status", *options, zfs.zpool_name]).output
        pool = json.loads(shown)["pools"][zfs.zpool_name]
        root = pool["vdevs"][zfs.zpool_name]
        assert (pool["state"], root["vdev_type"], len(root["vdevs"])) == ("ONLINE", "root", 1)
        assert status_of(zfs, "zpool", "status", *options, "nopool") == 1
    ashift = ["zpool", "get", "-Hp", "-o", "name,value", "ashift"]
    lines = zfs.runner.run([*ashift, zfs.zpool_name, "all-vdevs"]).output.splitlines()
    [disk] = root["vdevs"]
    assert dict(line.split("\t") for line in lines)[disk].isdecimal()
    assert status_of(zfs, *ashift, "nopool", "all-vdevs") == 1


def _room(zfs: World) -> tuple[int, int]:
    [used], [available] = zfs.get("", "used"), zfs.get("", "available")
    assert isinstance(used, int)
    assert isinstance(available, int)
    return used, available
