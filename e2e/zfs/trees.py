"""Trees of files of every kind, made at random, and told in full so that two can be compared."""

import os
import random
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FILES = 30
_NAME_BYTES = 255
_SMALL_BYTES = 64 * 1024
_SPARSE_BYTES = 1 << 20
_SECOND_NS = 1_000_000_000
_ACL_VERSION = struct.Struct("<I")
_ACL_ENTRY = struct.Struct("<HHI")
_ACL_TAGS = ((0x01, 7), (0x04, 5), (0x10, 5), (0x20, 0))
_ACL_USER, _ANY_ID = 0x02, 0xFFFFFFFF
ACCESS_ACL, DEFAULT_ACL = "system.posix_acl_access", "system.posix_acl_default"


@dataclass(frozen=True, slots=True)
class Told:
    """All that is to be equal of one entry of a tree; holes may lie elsewhere, and read as 0."""

    mode: int
    owner: tuple[int, int]
    modified_ns: int
    link_count: int
    device: int
    content: bytes
    attributes: tuple[tuple[str, bytes], ...]
    first_name: bytes


def make_tree(root: Path, seed: int) -> None:
    """Fill an empty directory, the same way for the same seed."""
    _Maker(root, random.Random(seed)).make()


def told_of(root: Path) -> dict[bytes, Told]:
    """Every entry of a tree by its path below the root, and the root."""
    first_names: dict[int, bytes] = {}
    return {name: _told(root, name, first_names) for name in sorted(_names(os.fsencode(root)))}


def _names(root: bytes) -> Iterator[bytes]:
    yield b"."
    for parent, directories, files in os.walk(root):
        for name in (*directories, *files):
            path = os.path.relpath(os.path.join(parent, name), root)  # noqa: PTH118 - bytes
            if not path.startswith(b"lost+found"):
                yield path


def _told(root: Path, name: bytes, first_names: dict[int, bytes]) -> Told:
    path = os.fsencode(root) + b"/" + name
    status = os.lstat(path)
    return Told(
        mode=status.st_mode,
        owner=(status.st_uid, status.st_gid),
        modified_ns=status.st_mtime_ns,
        link_count=status.st_nlink,
        device=status.st_rdev,
        content=_content_of(path, status),
        attributes=tuple(
            (key, os.getxattr(path, key, follow_symlinks=False))
            for key in sorted(os.listxattr(path, follow_symlinks=False))
        ),
        first_name=first_names.setdefault(status.st_ino, name),
    )


def _content_of(path: bytes, status: os.stat_result) -> bytes:
    if stat.S_ISLNK(status.st_mode):
        return os.readlink(path)  # noqa: PTH115 - bytes
    if stat.S_ISREG(status.st_mode):
        return Path(os.fsdecode(path)).read_bytes()
    return b""


def acl(user_id: int, permissions: int) -> bytes:
    """A POSIX ACL as the kernel takes it, with one named user."""
    entries = [(tag, allowed, _ANY_ID) for tag, allowed in _ACL_TAGS]
    entries.insert(1, (_ACL_USER, permissions, user_id))
    return _ACL_VERSION.pack(2) + b"".join(_ACL_ENTRY.pack(*entry) for entry in entries)


class _Maker:
    """Makes one tree."""

    def __init__(self, root: Path, seeded: random.Random) -> None:
        self._root = root
        self._random = seeded
        self._directories = [root]
        self._files: list[Path] = []

    def make(self) -> None:
        kinds = (self._directory, self._file, self._sparse, self._link, self._symlink, self._node)
        for make in kinds:
            make()
        for _ in range(FILES):
            self._random.choice(kinds)()
        # Last, and from below: what is made in a directory changes its time.
        for path in reversed([*self._directories, *self._files]):
            self._finish(path)

    def _new_path(self) -> Path:
        length = self._random.choice([1, 8, _NAME_BYTES])
        while True:
            name = bytes(self._random.choices(range(1, 256), k=length)).replace(b"/", b"-")
            path = self._random.choice(self._directories) / os.fsdecode(name)
            if name not in {b".", b".."} and not os.path.lexists(path):
                return path

    def _directory(self) -> None:
        path = self._new_path()
        # Four levels of the longest names reach no path that is too long.
        if len(path.relative_to(self._root).parts) <= 4:
            path.mkdir()
            self._directories.append(path)

    def _file(self) -> None:
        path = self._new_path()
        path.write_bytes(self._random.randbytes(self._random.choice([0, 1, 4096, _SMALL_BYTES])))
        self._files.append(path)

    def _sparse(self) -> None:
        path = self._new_path()
        with path.open("wb") as file:
            for _ in range(3):
                file.seek(self._random.randrange(_SPARSE_BYTES))
                file.write(self._random.randbytes(100))
            file.truncate(_SPARSE_BYTES + 1)
        self._files.append(path)

    def _link(self) -> None:
        if self._files:
            self._new_path().hardlink_to(self._random.choice(self._files))

    def _symlink(self) -> None:
        path = self._new_path()
        path.symlink_to(os.fsdecode(bytes(self._random.choices(range(1, 256), k=200))))
        os.utime(path, ns=(0, self._time_ns()), follow_symlinks=False)

    def _node(self) -> None:
        kind = self._random.choice([stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK])
        path = self._new_path()
        os.mknod(path, kind | 0o640, os.makedev(1, 3))
        os.utime(path, ns=(0, self._time_ns()))

    def _finish(self, path: Path) -> None:
        os.chown(path, self._random.randrange(1 << 16), self._random.randrange(1 << 16))
        path.chmod(self._random.choice([0o755, 0o4711, 0o2750, 0o1777, 0o600]))
        for namespace in ("user", "trusted", "security"):
            for number in range(self._random.randrange(3)):
                value = self._random.randbytes(self._random.choice([0, 20, 500]))
                os.setxattr(path, f"{namespace}.{number}", value)
        if self._random.random() < 1 / 2:
            os.setxattr(path, ACCESS_ACL, acl(self._random.randrange(1 << 16), 6))
        if path.is_dir():
            os.setxattr(path, DEFAULT_ACL, acl(self._random.randrange(1 << 16), 4))
        os.utime(path, ns=(0, self._time_ns()))

    def _time_ns(self) -> int:
        return self._random.randrange(2_000_000_000 * _SECOND_NS)
