"""The loop devices of a node that was killed: a machine that crashes loses them, a kernel does not.

The path of a device's file is told as the dead node saw it, and both nodes call theirs the same.
So files are known by device and inode.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_LIMIT_S = 30.0
_COLUMNS = "NAME,MAJ:MIN,BACK-MAJ:MIN,BACK-INO"


@dataclass(frozen=True, slots=True)
class Loop:
    """A loop device: its own number, and its file by the file system's number and inode."""

    name: str
    number: str
    file_device: str
    inode: int


def parse_loops(text: str) -> list[Loop]:
    """The devices in the JSON of losetup, which is empty when there are none."""
    if not text.strip():
        return []
    return [
        Loop(
            entry["name"],
            str(entry["maj:min"]).strip(),
            str(entry["back-maj:min"]).strip(),
            int(entry["back-ino"]),
        )
        for entry in json.loads(text)["loopdevices"]
        if entry["back-ino"] is not None
    ]


def loops_of(files: Iterable[tuple[str, int]], loops: list[Loop]) -> list[Loop]:
    """The devices of these files, and of files on these devices: innermost first."""
    wanted = set(files)
    found = [loop for loop in loops if (loop.file_device, loop.inode) in wanted]
    for loop in found:
        found += [
            inner for inner in loops if inner.file_device == loop.number and inner not in found
        ]
    return found[::-1]


def detach_loops_below(directory: Path) -> None:
    """Detach what the files below a directory are attached to, and all that lies on it."""
    for loop in loops_of(_files_below(directory), _attached()):
        # It may have gone with the file system that it lay on.
        subprocess.run(
            ["losetup", "--detach", loop.name], check=False, capture_output=True, timeout=_LIMIT_S
        )


def _attached() -> list[Loop]:
    command = ["losetup", "--list", "--json", "--output", _COLUMNS]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=_LIMIT_S)
    return parse_loops(done.stdout)


def _files_below(directory: Path) -> Iterator[tuple[str, int]]:
    for parent, _, names in os.walk(directory):
        for name in names:
            status = (Path(parent) / name).lstat()
            yield f"{os.major(status.st_dev)}:{os.minor(status.st_dev)}", status.st_ino
