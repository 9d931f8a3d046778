"""The vdevs with parity, read from what OpenZFS 2.3.2 printed about such pools."""

import json
from pathlib import Path

import pytest

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.zfs.reservation import ParityVdev
from csi_zfs.zfs.vdevs import parity_vdevs, parse_vdevs
from tests.support.zfs_fake_pools import FakeZfs


def status_of(groups: dict[str, dict[str, object]]) -> str:
    """What `zpool status -j` says of a pool with these groups of vdevs, without its figures."""
    root = {"name": "tank", "vdev_type": "root", "state": "ONLINE", "vdevs": groups["vdevs"]}
    others = {key: group for key, group in groups.items() if key != "vdevs"}
    pool = {"name": "tank", "state": "ONLINE", "vdevs": {"tank": root}, **others}
    return json.dumps({"pools": {"tank": pool}})


def disks(*numbers: int) -> dict[str, object]:
    names = [f"/tmp/vd{number}" for number in numbers]
    return {name: {"name": name, "vdev_type": "file", "state": "ONLINE"} for name in names}


def ashifts(*names: str) -> str:
    return "".join(f"{name}\t12\n" for name in names)


RAIDZ: dict[str, object] = {
    "raidz1-0": {"vdev_type": "raidz", "state": "ONLINE", "vdevs": disks(1, 2, 3)}
}
# A dRAID vdev is shown without a type, and is none of `all-vdevs`.
DRAID: dict[str, object] = {
    "draid1:2d:4c:1s-0": {"name": "draid1:2d:4c:1s-0", "vdevs": disks(1, 2, 3, 4)}
}
SPARES: dict[str, object] = {
    "draid1-0-0": {"vdev_type": "dspare", "class": "spare", "state": "AVAIL"}
}
MIRROR: dict[str, object] = {
    "mirror-0": {"vdev_type": "mirror", "state": "ONLINE", "vdevs": disks(1, 2)}
}


@pytest.mark.parametrize(
    ("groups", "shown", "expected"),
    [
        (
            {"vdevs": RAIDZ},
            "root-0\t0\n" + ashifts("raidz1-0", *disks(1, 2, 3)),
            (ParityVdev(data_count=2, parity_count=1, ashift=12),),
        ),
        (
            {"vdevs": DRAID, "spares": SPARES},
            "root-0\t0\n" + ashifts(*disks(1, 2, 3, 4)),
            (ParityVdev(data_count=2, parity_count=1, ashift=12, is_draid=True),),
        ),
        ({"vdevs": MIRROR, "logs": disks(3)}, ashifts("mirror-0", *disks(1, 2, 3)), ()),
        ({"vdevs": disks(1)}, ashifts(*disks(1)), ()),
    ],
    ids=["raidz", "draid", "mirror", "disk"],
)
def test_parse_vdevs_finds_those_with_parity(
    groups: dict[str, dict[str, object]], shown: str, expected: tuple[ParityVdev, ...]
) -> None:
    assert parse_vdevs(status_of(groups), shown, "tank") == expected


def test_parse_vdevs_takes_the_largest_sector_of_the_disks() -> None:
    shown = "raidz1-0\t9\n/tmp/vd1\t9\n/tmp/vd2\t13\n/tmp/vd3\t9\n"
    [vdev] = parse_vdevs(status_of({"vdevs": RAIDZ}), shown, "tank")
    assert vdev.ashift == 13


@pytest.mark.parametrize(
    ("status", "told"),
    [
        ("", ""),
        ("no json", ""),
        ("[]", ""),
        ('{"pools": {}}', ""),
        (status_of({"vdevs": RAIDZ}), "/tmp/vd1\ttwelve"),
        (status_of({"vdevs": RAIDZ}), "no columns"),
    ],
)
def test_what_zpool_says_in_another_way_makes_the_pool_unavailable(status: str, told: str) -> None:
    with pytest.raises(PoolUnavailableError, match="tank"):
        parse_vdevs(status, told, "tank")


def test_zpool_that_fails_makes_the_pool_unavailable(tmp_path: Path) -> None:
    with pytest.raises(PoolUnavailableError, match="nopool"):
        parity_vdevs(FakeZfs.in_directory(tmp_path).commands, "nopool")
