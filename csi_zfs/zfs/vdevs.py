"""Which of a pool's vdevs have parity: there a block takes more than its own size.

`zpool get ... all-vdevs` leaves dRAID vdevs out, so the vdevs are those of `zpool status`; and only
their disks tell the size of a sector.
"""

import json
from collections.abc import Mapping
from typing import Any

from csi_zfs.system.runner import Runner
from csi_zfs.zfs.reservation import ParityVdev, parity_vdev


def parity_vdevs(runner: Runner, zpool_name: str) -> tuple[ParityVdev, ...]:
    """The raidz and dRAID vdevs of a pool."""
    status = runner.run(["zpool", "status", "-j", zpool_name]).output
    ashift = ["zpool", "get", "-Hp", "-o", "name,value", "ashift", zpool_name, "all-vdevs"]
    return parse_vdevs(status, runner.run(ashift).output, zpool_name)


def parse_vdevs(status: str, ashifts: str, zpool_name: str) -> tuple[ParityVdev, ...]:
    """Read `zpool status -j`, and `zpool get -Hp -o name,value ashift <pool> all-vdevs`."""
    ashift_of = dict(line.split("\t") for line in ashifts.splitlines())
    root = json.loads(status)["pools"][zpool_name]["vdevs"][zpool_name]
    found = [_parity_of(name, vdev, ashift_of) for name, vdev in root["vdevs"].items()]
    return tuple(vdev for vdev in found if vdev is not None)


def _parity_of(
    name: str, vdev: Mapping[str, Any], ashift_of: Mapping[str, str]
) -> ParityVdev | None:
    disks = list(vdev.get("vdevs", ()))
    ashift = max((int(ashift_of.get(disk, 0)) for disk in disks), default=0)
    return parity_vdev(name, ashift=ashift, child_count=len(disks))
