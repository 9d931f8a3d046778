"""The parser of `zpool status -j`, on what OpenZFS 2.3.2 printed (shortened)."""

import copy
import json
from collections.abc import Sequence
from typing import Any

import pytest

from csi_zfs.datasets.api import PoolUnavailableError
from csi_zfs.system.runner import CommandFailedError, CommandResult
from csi_zfs.zfs.pool_state import PoolState
from csi_zfs.zfs.pool_status import Scan, VdevStatus, parse_status, read_status

# A mirror with one half offline, after a scrub that repaired it.
RECORDED: dict[str, Any] = {
    "output_version": {"command": "zpool status", "vers_major": 0, "vers_minor": 1},
    "pools": {
        "facts": {
            "name": "facts",
            "state": "DEGRADED",
            "pool_guid": 16724617548067026732,
            "txg": 15,
            "spa_version": 5000,
            "zpl_version": 5,
            "status": "One or more devices has experienced an unrecoverable "
            "error.  An\n"
            "\tattempt was made to correct the error.  Applications "
            "are unaffected.\n",
            "action": "Determine if the device needs to be replaced, and "
            "clear the errors\n"
            "\tusing 'zpool clear' or replace the device with "
            "'zpool replace'.\n",
            "msgid": "ZFS-8000-9P",
            "moreinfo": "https://openzfs.github.io/openzfs-docs/msg/ZFS-8000-9P",
            "scan_stats": {
                "function": "SCRUB",
                "state": "FINISHED",
                "start_time": 1795268527,
                "end_time": 1795268529,
                "to_examine": 224256,
                "examined": 129024,
                "processed": 48128,
                "errors": 0,
            },
            "vdevs": {
                "facts": {
                    "name": "facts",
                    "vdev_type": "root",
                    "guid": 16724617548067026732,
                    "class": "normal",
                    "state": "DEGRADED",
                    "read_errors": 0,
                    "write_errors": 0,
                    "checksum_errors": 0,
                    "vdevs": {
                        "mirror-0": {
                            "name": "mirror-0",
                            "vdev_type": "mirror",
                            "guid": 1448833849796024602,
                            "class": "normal",
                            "state": "DEGRADED",
                            "read_errors": 0,
                            "write_errors": 0,
                            "checksum_errors": 0,
                            "vdevs": {
                                "/tmp/fa": {
                                    "name": "/tmp/fa",
                                    "vdev_type": "file",
                                    "guid": 17943959895465776691,
                                    "path": "/tmp/fa",
                                    "class": "normal",
                                    "state": "ONLINE",
                                    "read_errors": 0,
                                    "write_errors": 0,
                                    "checksum_errors": 0,
                                },
                                "/tmp/fb": {
                                    "name": "/tmp/fb",
                                    "vdev_type": "file",
                                    "guid": 75889399800702599,
                                    "path": "/tmp/fb",
                                    "class": "normal",
                                    "state": "OFFLINE",
                                    "read_errors": 0,
                                    "write_errors": 0,
                                    "checksum_errors": 36,
                                },
                            },
                        }
                    },
                }
            },
            "error_count": 0,
        }
    },
}


class OneCommand:
    """A `Runner` that knows one answer."""

    def __init__(self, status: int, output: str) -> None:
        self.result = CommandResult(status, output, "no such pool")

    def run(
        self, argv: Sequence[str], *, timeout_s: float | None = None, expected: Sequence[int] = (0,)
    ) -> CommandResult:
        assert argv == ["zpool", "status", "-j", "--json-int", "facts"]
        if self.result.status not in expected:
            raise CommandFailedError(argv, self.result.status, self.result.error_text)
        return self.result


def test_status_of_a_degraded_mirror() -> None:
    status = read_status(OneCommand(0, json.dumps(RECORDED)), "facts")
    assert status.state is PoolState.DEGRADED
    assert status.vdevs == (
        VdevStatus("facts", "root", PoolState.DEGRADED),
        VdevStatus("mirror-0", "mirror", PoolState.DEGRADED),
        VdevStatus("/tmp/fa", "file", PoolState.ONLINE),
        VdevStatus("/tmp/fb", "file", PoolState.OFFLINE, checksum_errors=36),
    )
    assert [vdev.name for vdev in status.vdevs if vdev.has_errors] == ["/tmp/fb"]
    assert status.scan == Scan("SCRUB", "FINISHED", 0, 1795268527, 1795268529)
    assert status.data_errors == 0
    assert status.advice.startswith(
        "One or more devices has experienced an unrecoverable error. An"
    )


def test_devices_outside_the_main_group_are_seen() -> None:
    recorded = copy.deepcopy(RECORDED)
    log = {"name": "l", "vdev_type": "disk", "path": "/dev/l", "state": "FAULTED", "read_errors": 2}
    recorded["pools"]["facts"]["logs"] = {"l": log}
    status = parse_status(json.dumps(recorded), "facts")
    assert VdevStatus("/dev/l", "disk", PoolState.FAULTED, read_errors=2) in status.vdevs


def test_pool_that_was_never_scanned_and_is_well_has_no_advice() -> None:
    recorded = copy.deepcopy(RECORDED)
    for key in ("scan_stats", "status"):
        del recorded["pools"]["facts"][key]
    status = parse_status(json.dumps(recorded), "facts")
    assert (status.scan, status.advice) == (None, "")


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", '{"pools": {}}', '{"pools": {"facts": {}}}', '{"pools": null}']
)
def test_text_that_is_no_status_is_unavailable(text: str) -> None:
    with pytest.raises(PoolUnavailableError, match="nothing known about facts"):
        parse_status(text, "facts")


def test_pool_that_zpool_does_not_know_is_unavailable() -> None:
    with pytest.raises(PoolUnavailableError, match="no such pool"):
        read_status(OneCommand(1, ""), "facts")


def test_disks_of_a_draid_vdev_are_read_though_its_type_is_not_told() -> None:
    """`zpool` says neither the type nor the state of a dRAID vdev."""
    disk = {"vdev_type": "file", "path": "/a", "state": "ONLINE", "checksum_errors": 3}
    root = {"vdevs": {"draid1:2d:4c:1s-0": {"vdevs": {"/a": disk}}}}
    pool = {"state": "ONLINE", "vdevs": {"t": root}}
    status = parse_status(json.dumps({"pools": {"t": pool}}), "t")
    assert [(vdev.name, vdev.checksum_errors) for vdev in status.vdevs] == [("/a", 3)]
