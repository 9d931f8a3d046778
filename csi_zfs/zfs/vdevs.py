"""Which of a pool's vdevs have parity: there a block takes more than its own size.

`zpool get ... all-vdevs` leaves dRAID vdevs out, so the vdevs are those of `zpool status`; and only
their disks tell the size of a sector.
"""

import json
from collections.abc import Mapping
from typing import Any

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.system.runner import CommandFailedError, Runner
from csi_zfs.zfs.reservation import ParityVdev, parity_vdev


def parity_vdevs(runner: Runner, zpool_name: str) -> tuple[ParityVdev, ...]:
    """The raidz and dRAID vdevs of a pool; raises `PoolUnavailableError`."""
    ashift = ["zpool", "get", "-Hp", "-o", "name,value", "ashift", zpool_name, "all-vdevs"]
    try:
        status = runner.run(["zpool", "status", "-j", zpool_name]).output
        ashifts = runner.run(ashift).output
    except CommandFailedError as exc:
        msg = f"the vdevs of {zpool_name} cannot be read: {exc}"
        raise PoolUnavailableError(msg) from exc
    return parse_vdevs(status, ashifts, zpool_name)


def parse_vdevs(status: str, ashifts: str, zpool_name: str) -> tuple[ParityVdev, ...]:
    """Read `zpool status -j`, and `zpool get -Hp -o name,value ashift <pool> all-vdevs`.

    Raises `PoolUnavailableError` where a text is not that, or not about this pool.
    """
    try:
        ashift_of = dict(line.split("\t") for line in ashifts.splitlines())
        root = json.loads(status)["pools"][zpool_name]["vdevs"][zpool_name]
        found = [_parity_of(name, vdev, ashift_of) for name, vdev in root["vdevs"].items()]
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        msg = f"zpool says nothing known about the vdevs of {zpool_name}"
        raise PoolUnavailableError(msg) from exc
    return tuple(vdev for vdev in found if vdev is not None)


def _parity_of(
    name: str, vdev: Mapping[str, Any], ashift_of: Mapping[str, str]
) -> ParityVdev | None:
    disks = list(vdev.get("vdevs", ()))
    ashift = max((int(ashift_of.get(disk, 0)) for disk in disks), default=0)
    return parity_vdev(name, ashift=ashift, child_count=len(disks))
