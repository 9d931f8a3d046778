import json
from pathlib import Path

from csi_zfs.reflink.mounts import parse_devices


def test_parse_devices_of_no_output_is_empty() -> None:
    assert parse_devices("") == {}


def test_parse_devices_leaves_out_one_that_is_being_detached() -> None:
    """What `losetup --list` of util-linux 2.38 says when it comes between (10 of 5,662 times)."""
    rows = [
        {"name": "/dev/loop0", "back-ino": None, "back-maj:min": None},
        {"name": "/dev/loop1", "back-ino": 12, "back-maj:min": "254:1 "},
    ]
    listed = parse_devices(json.dumps({"loopdevices": rows}))
    assert listed == {("254:1", 12): Path("/dev/loop1")}
