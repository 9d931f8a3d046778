"""A disk that forgets at a power cut what was not synced, each name for itself.

The effects are done on a real directory and in a model beside it.  A cut makes another directory of
what is durable, and of any part of what is not: a name that was made, moved or removed and whose
directory was not synced since may be as it was or as it is.  That is harsher than any journaling
file system: a rename between two directories may be there twice, or not at all.
"""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.system.files import Files, write_all
from csi_zfs.system.opening import opened
from tests.support.files import Effects


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A file with its content, or a directory (None)."""

    content: bytes | None = None


Names = dict[str, Node]


@dataclass(slots=True)
class ForgetfulDisk:
    """What is below `root`, as programs see it and as a power cut leaves it."""

    root: Path
    now: dict[Path, Names] = field(default_factory=dict)
    durable: dict[Path, Names] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take what is there for durable."""
        for path in [self.root, *self.root.rglob("*")]:
            if path.is_dir():
                self.now[path] = {}
            if path != self.root:
                content = None if path.is_dir() else path.read_bytes()
                self.now[path.parent][path.name] = Node(content)
        for directory in self.now:
            self.sync(directory)

    def put(self, path: Path, node: Node) -> None:
        """Give something a name."""
        self.now[path.parent][path.name] = node
        if node.content is None:
            self.now[path] = {}
            self.durable[path] = {}

    def take(self, path: Path) -> Node:
        """Take a name away."""
        return self.now[path.parent].pop(path.name)

    def node_at(self, path: Path) -> Node:
        """What has this name."""
        return self.now[path.parent][path.name]

    def sync(self, path: Path) -> None:
        """Make the names in a directory durable; the content of files is as soon as it is there."""
        if path in self.now:
            self.durable[path] = dict(self.now[path])

    def cut(self, target: Path, *, keeps: Callable[[str], bool]) -> None:
        """Make `target` what is left; `keeps` says which changes survive that were not synced."""
        for relative, node in self._left(self.root, keeps):
            path = target / relative
            if node.content is None:
                path.mkdir()
            else:
                path.write_bytes(node.content)

    def _left(self, directory: Path, keeps: Callable[[str], bool]) -> Iterator[tuple[Path, Node]]:
        if directory == self.root:
            yield Path(), Node()
        now, durable = self.now[directory], self.durable[directory]
        for name in sorted({*now, *durable}):
            path = directory / name
            node = now.get(name) if keeps(str(path.relative_to(self.root))) else durable.get(name)
            if node is None:
                continue
            yield path.relative_to(self.root), node
            if node.content is None:
                yield from self._left(path, keeps)


class HurriedFiles(Files):
    """Real files that are never synced, for tests without a power cut: a sync takes its time."""

    def create(self, path: Path, data: bytes | bytearray | memoryview) -> None:
        """See `Files`."""
        with opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
            write_all(descriptor, data)

    def sync(self, path: Path) -> None:
        """See `Files`."""
        path.lstat()


class ForgetfulFiles(HurriedFiles):
    """Files on such a disk, whose effects are counted and can stop; the syncs are in its model.

    A crash before a `create` may leave a part of the file.
    """

    def __init__(self, disk: ForgetfulDisk, effects: Effects) -> None:
        """Change `disk`, count in `effects`; each process has effects of its own."""
        self._disk = disk
        self._effects = effects

    def make_directory(self, path: Path) -> None:
        """See `Files`."""
        with self._effects.around("make_directory", path.name):
            super().make_directory(path)
            self._disk.put(path, Node())

    def create(self, path: Path, data: bytes | bytearray | memoryview) -> None:
        """See `Files`."""
        content = bytes(data)
        self._disk.put(path, Node(content[: len(content) // 2]))
        with self._effects.around("create", path.name):
            super().create(path, data)
            self._disk.put(path, Node(content))

    def sync(self, path: Path) -> None:
        """See `Files`."""
        with self._effects.around("sync", path.name):
            super().sync(path)
            self._disk.sync(path)

    def rename(self, path: Path, new_path: Path) -> None:
        """See `Files`."""
        with self._effects.around("rename", new_path.name):
            super().rename(path, new_path)
            self._disk.put(new_path, self._disk.take(path))

    def link(self, path: Path, new_path: Path) -> None:
        """See `Files`."""
        with self._effects.around("link", new_path.name):
            super().link(path, new_path)
            self._disk.put(new_path, self._disk.node_at(path))

    def unlink(self, path: Path) -> None:
        """See `Files`."""
        with self._effects.around("unlink", path.name):
            super().unlink(path)
            self._disk.take(path)
