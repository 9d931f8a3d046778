"""What `zpool status -j` says about a pool: its devices, their errors, the last scrub."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.system.runner import CommandFailedError, Runner
from csi_zfs.zfs.pool_state import PoolState


@dataclass(frozen=True, slots=True)
class VdevStatus:
    """One device of a pool, or a group of them (`mirror-0`); `name` is a path for a disk."""

    name: str
    vdev_type: str
    state: PoolState
    read_errors: int = 0
    write_errors: int = 0
    checksum_errors: int = 0

    @property
    def has_errors(self) -> bool:
        """Whether it failed since its counters were last cleared."""
        return self.read_errors + self.write_errors + self.checksum_errors > 0


@dataclass(frozen=True, slots=True)
class Scan:
    """The last scrub or resilver, or the one that runs.

    `function` and `state` are OpenZFS's words (`SCRUB`, `RESILVER`; `SCANNING`, `FINISHED`,
    `CANCELED`); the times are seconds since 1970, 0 for an end that is still to come.
    """

    function: str
    state: str
    errors: int
    began_s: int
    ended_s: int


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """A pool; `data_errors` counts the blocks of users' data that are lost.

    `advice` is what OpenZFS says about it in words, for people; empty when all is well.
    """

    state: PoolState
    vdevs: tuple[VdevStatus, ...]
    scan: Scan | None
    data_errors: int
    advice: str


def read_status(runner: Runner, zpool_name: str) -> PoolStatus:
    """Ask `zpool`; raises `PoolUnavailableError` where it cannot tell."""
    try:
        found = runner.run(["zpool", "status", "-j", "--json-int", zpool_name])
    except CommandFailedError as exc:
        raise PoolUnavailableError(f"the status of {zpool_name} cannot be read: {exc}") from exc
    return parse_status(found.output, zpool_name)


def parse_status(text: str, zpool_name: str) -> PoolStatus:
    """The status of a pool from the output of `zpool status -j --json-int`.

    Raises:
        PoolUnavailableError: the text is not that, or not about this pool.
    """
    try:
        return _status(json.loads(text)["pools"][zpool_name])
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise PoolUnavailableError(f"zpool says nothing known about {zpool_name}") from exc


def _status(pool: Mapping[str, Any]) -> PoolStatus:
    return PoolStatus(
        state=PoolState.of_word(pool["state"]),
        vdevs=tuple(_vdevs(pool)),
        scan=_scan(pool["scan_stats"]) if "scan_stats" in pool else None,
        data_errors=int(pool.get("error_count", 0)),
        advice=" ".join(pool.get("status", "").split()),
    )


def _vdevs(node: Mapping[str, Any]) -> Iterator[VdevStatus]:
    """Every device below a node, in any of its groups (`vdevs`, `logs`, `special`...).

    Of a dRAID vdev only the disks are told: `zpool` says neither its type nor its state.
    """
    for group in node.values():
        for name, vdev in group.items() if isinstance(group, dict) else ():
            if isinstance(vdev, dict):
                if "vdev_type" in vdev:
                    yield _vdev(name, vdev)
                yield from _vdevs(vdev)


def _vdev(name: str, vdev: Mapping[str, Any]) -> VdevStatus:
    return VdevStatus(
        name=vdev.get("path", name),
        vdev_type=vdev["vdev_type"],
        state=PoolState.of_word(vdev["state"]),
        read_errors=int(vdev.get("read_errors", 0)),
        write_errors=int(vdev.get("write_errors", 0)),
        checksum_errors=int(vdev.get("checksum_errors", 0)),
    )


def _scan(scan: Mapping[str, Any]) -> Scan:
    return Scan(
        function=scan["function"],
        state=scan["state"],
        errors=int(scan.get("errors", 0)),
        began_s=int(scan.get("start_time", 0)),
        ended_s=int(scan.get("end_time", 0)),
    )
