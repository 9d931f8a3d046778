"""Random trees of files on a disk, with odd names, times, owners and attributes."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st

from tests.support.file_trees import IS_ROOT

# Other rights than root's would keep the test from looking at what it made.
_MODE_MASK = 0o7777 if IS_ROOT else 0o777
_DEPTH = 3

_ODD_NAMES = st.sampled_from([b"\xff\xfe", b"a\nb", b" ", b"-rf", b"x" * 255, b"...", b"\x01"])
_NAMES = st.one_of(
    _ODD_NAMES,
    st.binary(min_size=1, max_size=12).filter(
        lambda name: not set(name) & {0, 0x2F} and name not in {b".", b".."}
    ),
).map(os.fsdecode)
_FILE_MODES = st.integers(0, 0o7777).map(lambda mode: (mode | 0o600) & _MODE_MASK)
_DIRECTORY_MODES = st.integers(0, 0o7777).map(lambda mode: (mode | 0o700) & _MODE_MASK)
_OWNERS = st.integers(0, 70_000)
_TIMES = st.builds(
    lambda seconds, ns: seconds * 10**9 + ns,
    st.integers(-(2**31), 2**33),
    st.integers(0, 999_999_999),
)
_ATTRIBUTES = st.dictionaries(
    st.sampled_from([b"user.a", b"user.\xff", b"user.long"]),
    st.one_of(st.binary(max_size=20), st.just(b"long" * 300)),
    max_size=2,
)
_CONTENTS = st.one_of(
    st.binary(max_size=100),
    st.sampled_from([0, 1, 4096, 70_000]).map(bytes),
    st.just(b"\0" * 8192 + b"data" + b"\0" * 9000),
)


def fill_directory(path: Path, data: st.DataObject, made: list[Path], depth: int = 0) -> None:
    """Fill a directory at random; its own metadata last, as what is made in it changes it."""
    for name in data.draw(st.sets(_NAMES, max_size=4 if depth < _DEPTH else 0)):
        below = path / name
        if data.draw(st.integers(0, 3)) == 0:
            below.mkdir()
            fill_directory(below, data, made, depth + 1)
            continue
        data.draw(st.sampled_from(_MAKERS))(below, data, made)
        if os.path.lexists(below):
            made.append(below)
    _dress(path, data, _DIRECTORY_MODES)


def change_directory(path: Path, data: st.DataObject) -> None:
    """Change a tree: some of its names go, others come."""
    for below in sorted(path.iterdir()):
        is_directory = stat.S_ISDIR(below.lstat().st_mode)
        if not data.draw(st.booleans()):
            continue
        if is_directory:
            change_directory(below, data)
            continue
        below.unlink()
        if data.draw(st.booleans()):
            below.mkdir()
    new = path / "\x02new"
    if not os.path.lexists(new) and data.draw(st.booleans()):
        _make_file(new, data, [])


def _make_file(path: Path, data: st.DataObject, made: list[Path]) -> None:
    path.write_bytes(data.draw(_CONTENTS))
    _dress(path, data, _FILE_MODES)


def _make_link(path: Path, data: st.DataObject, made: list[Path]) -> None:
    if made:
        os.link(data.draw(st.sampled_from(made)), path, follow_symlinks=False)


def _make_symlink(path: Path, data: st.DataObject, made: list[Path]) -> None:
    path.symlink_to(data.draw(_NAMES))
    if IS_ROOT:
        os.chown(path, data.draw(_OWNERS), data.draw(_OWNERS), follow_symlinks=False)
    time = data.draw(_TIMES)
    os.utime(path, ns=(time, time), follow_symlinks=False)


def _make_special(path: Path, data: st.DataObject, made: list[Path]) -> None:
    kinds = [stat.S_IFIFO, stat.S_IFCHR, stat.S_IFBLK] if IS_ROOT else [stat.S_IFIFO]
    os.mknod(path, data.draw(st.sampled_from(kinds)) | 0o600, os.makedev(1, 300))
    time = data.draw(_TIMES)
    os.utime(path, ns=(time, time))


def _dress(path: Path, data: st.DataObject, modes: st.SearchStrategy[int]) -> None:
    if IS_ROOT:
        os.chown(path, data.draw(_OWNERS), data.draw(_OWNERS))
    for name, value in data.draw(_ATTRIBUTES).items():
        os.setxattr(path, name, value)
    path.chmod(data.draw(modes))
    time = data.draw(_TIMES)
    os.utime(path, ns=(time, time))


_MAKERS: list[Callable[[Path, st.DataObject, list[Path]], None]] = [
    _make_file,
    _make_file,
    _make_link,
    _make_symlink,
    _make_special,
]
