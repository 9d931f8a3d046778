"""What the work below a directory has left on the machine, and how it is taken away.

Only plain files of one file system are removed, one by one: whatever is mounted below is never
touched.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.cleanup import force_unmount_below, loop_devices_below, mounts_below
from tests.support.signals import undisturbed


class LeftBehindError(AssertionError):
    """Something is left that ought to be gone; the text names it."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What is left: mount points, loop devices with their files, and files."""

    mounts: tuple[str, ...]
    loops: tuple[str, ...]
    files: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.mounts or self.loops or self.files)

    def __str__(self) -> str:
        kinds = (("mounts", self.mounts), ("loop devices", self.loops), ("files", self.files))
        return "; ".join(f"{kind}: {', '.join(found) or 'none'}" for kind, found in kinds)

    def require_none(self) -> None:
        """Raise `LeftBehindError` unless nothing is left."""
        if self:
            raise LeftBehindError(f"something is left behind: {self}")


def find_leftovers(root: Path, *file_directories: Path) -> Leftovers:
    """The mounts and loop devices of anything below `root`, and the files of these directories."""
    return Leftovers(
        mounts=tuple(mounts_below(root)),
        loops=tuple(str(device) for device in loop_devices_below(root)),
        files=tuple(str(path) for directory in file_directories for path in files_below(directory)),
    )


def files_below(directory: Path) -> list[Path]:
    """Everything below a directory that is no directory itself; none if there is no directory."""
    return [
        Path(parent) / name
        for parent, directories, files in os.walk(directory)
        for name in [*files, *(item for item in directories if (Path(parent) / item).is_symlink())]
    ]


def remove_files(root: Path) -> int:
    """Remove a directory file by file, and say how many they were.

    Raises `LeftBehindError`, before anything is removed, while something below is mounted.
    """
    if found := mounts_below(root):
        raise LeftBehindError(f"still mounted: {', '.join(found)}")
    files = files_below(root)
    for path in files:
        path.unlink()
    for parent, _, _ in os.walk(root, topdown=False):
        Path(parent).rmdir()
    return len(files)


@contextmanager
def scratch_directory(prefix: str) -> Iterator[Path]:
    """A temporary directory, gone afterwards with all mounts and loop devices below it."""
    root = Path(tempfile.mkdtemp(prefix=prefix)).resolve()
    try:
        yield root
    finally:
        with undisturbed():
            force_unmount_below(root)
            if root.exists():
                remove_files(root)
