"""The mounts of a mount namespace, as /proc/<pid>/mountinfo lists them (proc(5)).

The kernel keeps that table itself, so that reading it never touches a mounted file system, not even
a dead one.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from csi_zfs.domain.capabilities import NATIVE_FS_TYPE

OWN_MOUNTINFO = Path("/proc/self/mountinfo")

_NO_WRITES = {"ro", "emergency_ro"}
_ESCAPE = re.compile(rb"\\([0-7]{3})")


class MountEntry(NamedTuple):
    """One mount: `number` is its file system's device, `root` the part of that which it shows.

    `source` is the file system's own word for what it is on.
    """

    mount_id: int
    parent_id: int
    number: tuple[int, int]
    root: str
    mount_point: str
    options: str
    fs_type: str
    super_options: str
    source: str = ""

    @property
    def dataset_name(self) -> str:
        """The native ZFS file system that is shown, by its name of now; empty for any other."""
        return self.source if self.fs_type == NATIVE_FS_TYPE else ""

    @property
    def is_read_only(self) -> bool:
        """Whether nobody may write here: by the mount's own option or by its file system's."""
        # ext4 since 6.15 takes no writes after an error, and yet calls itself "rw".
        return "ro" in self.options.split(",") or not _NO_WRITES.isdisjoint(
            self.super_options.split(",")
        )

    @property
    def is_shut_down(self) -> bool:
        """Whether the file system has given up its device: ext4 shows that, xfs does not."""
        return "shutdown" in self.super_options.split(",")


def load_mountinfo(path: Path = OWN_MOUNTINFO) -> list[MountEntry]:
    """Read a table of mounts; an `OSError` is the caller's (a process may be gone)."""
    return parse_mountinfo(path.read_bytes())


def parse_mountinfo(table: bytes) -> list[MountEntry]:
    """The entries of a mountinfo table, in its order."""
    return [_parse_line(line) for line in table.split(b"\n") if line]


def _parse_line(line: bytes) -> MountEntry:
    # The optional fields (propagation) end at a lone "-": no other field can hold one between two
    # spaces.
    mount, _, filesystem = line.partition(b" - ")
    mount_id, parent_id, number, root, mount_point, options = mount.split(b" ", 6)[:6]
    fs_type, source, super_options = filesystem.split(b" ", 2)
    major, _, minor = number.partition(b":")
    return MountEntry(
        mount_id=int(mount_id),
        parent_id=int(parent_id),
        number=(int(major), int(minor)),
        root=_text(root),
        mount_point=_text(mount_point),
        options=options.decode(),
        fs_type=_text(fs_type),
        super_options=super_options.decode(errors="surrogateescape"),
        source=_text(source),
    )


def _text(field: bytes) -> str:
    if b"\\" in field:
        field = _ESCAPE.sub(lambda match: bytes((int(match[1], 8),)), field)
    return field.decode(errors="surrogateescape")


def entries_at(entries: Iterable[MountEntry], mount_point: str) -> list[MountEntry]:
    """The mounts at exactly this path, the one that is seen there last."""
    here = {entry.mount_id: entry for entry in entries if entry.mount_point == mount_point}
    parents = {entry.parent_id for entry in here.values()}
    # Each mount of a stack is the parent of the next one, so the top is nobody's parent.
    return sorted(here.values(), key=lambda entry: entry.mount_id not in parents)


def entries_below(entries: Iterable[MountEntry], mount_point: str) -> list[MountEntry]:
    """The mounts at paths deeper than this one."""
    prefix = f"{mount_point}/"
    return [entry for entry in entries if entry.mount_point.startswith(prefix)]


def top_at(entries: Iterable[MountEntry], mount_point: str) -> MountEntry | None:
    """The mount that is seen at exactly this path, or None."""
    stack = entries_at(entries, mount_point)
    return stack[-1] if stack else None


def mount_id_of(descriptor: int) -> int:
    """The mount through which a file is open, without a question to its file system."""
    text = Path(f"/proc/self/fdinfo/{descriptor}").read_text("ascii")
    return int(re.findall(r"^mnt_id:\s*([0-9]+)$", text, re.MULTILINE)[0])
