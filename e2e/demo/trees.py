"""Whether two trees of files are the same in everything that a backup would be asked for."""

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

_BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, directory or link.

    Attributes:
        kind: as `stat.S_IFMT` names it.
        mode: the permission bits.
        owner: user and group.
        mtime_ns: when its content changed last.
        content: the digest of a file, the target of a symbolic link, else empty.
        twins: all paths of the tree that are hard links of it, where there are several.
        is_sparse: it has fewer blocks than its size needs.
        xattrs: its extended attributes, in order.
    """

    kind: int
    mode: int
    owner: tuple[int, int]
    mtime_ns: int
    content: str = ""
    twins: tuple[str, ...] = ()
    is_sparse: bool = False
    xattrs: tuple[tuple[str, bytes], ...] = ()


Tree = Mapping[str, Entry]


def read_tree(root: Path) -> Tree:
    """Everything below `root`, by its path from there; `root` itself is the entry `.`."""
    states = {path: os.lstat(path) for path in _paths_below(root)}
    links: dict[int, list[str]] = {}
    for path, state in states.items():
        if not stat.S_ISDIR(state.st_mode):
            links.setdefault(state.st_ino, []).append(str(path.relative_to(root)))
    return {
        str(path.relative_to(root)): _read_entry(path, state, links.get(state.st_ino, []))
        for path, state in states.items()
    }


def differences(expected: Tree, found: Tree) -> list[str]:
    """What differs, one line for each path: `path: words`; none for equal trees."""
    lines = []
    for path in sorted(expected.keys() | found.keys()):
        if path not in found:
            lines.append(f"{path}: is missing")
        elif path not in expected:
            lines.append(f"{path}: was not there before")
        elif changed := _changed_fields(expected[path], found[path]):
            lines.append(f"{path}: differs in {', '.join(changed)}")
    return lines


def _changed_fields(expected: Entry, found: Entry) -> list[str]:
    names = (field.name for field in fields(Entry))
    return [name for name in names if getattr(expected, name) != getattr(found, name)]


def _paths_below(root: Path) -> Iterator[Path]:
    yield root
    for parent, directories, files in os.walk(root):
        for name in sorted([*directories, *files]):
            yield Path(parent) / name


def _read_entry(path: Path, state: os.stat_result, twins: list[str]) -> Entry:
    return Entry(
        kind=stat.S_IFMT(state.st_mode),
        mode=stat.S_IMODE(state.st_mode),
        owner=(state.st_uid, state.st_gid),
        mtime_ns=state.st_mtime_ns,
        content=_content(path, state.st_mode),
        twins=tuple(sorted(twins)) if len(twins) > 1 else (),
        is_sparse=state.st_blocks * _BLOCK_BYTES < state.st_size and stat.S_ISREG(state.st_mode),
        xattrs=tuple(
            (name, os.getxattr(path, name, follow_symlinks=False))
            for name in sorted(os.listxattr(path, follow_symlinks=False))
        ),
    )


def _content(path: Path, mode: int) -> str:
    if stat.S_ISLNK(mode):
        return str(path.readlink())
    if not stat.S_ISREG(mode):
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
