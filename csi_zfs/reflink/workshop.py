"""The directory `t/`: making objects whole before they get a name, and taking objects apart."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.reflink.kernel import read_small
from csi_zfs.reflink.layout import IMAGE, RECORD, Layout
from csi_zfs.reflink.records import parse_snapshot
from csi_zfs.system.files import Files, remove_if_there, temporary_of

OWN_FILES = (IMAGE, temporary_of(Path(RECORD)).name, RECORD)


class Workshop:
    """The directory `t/` of a pool.  Thread-safe for different uids."""

    def __init__(self, layout: Layout, files: Files, *, is_ordered: bool) -> None:
        """Work below `layout` through `files`.

        `is_ordered` says that the file system makes changes of metadata durable in the order in
        which they were made, as XFS does.
        """
        self._layout = layout
        self._files = files
        self._is_ordered = is_ordered

    @contextmanager
    def made(self, uid: str) -> Iterator[Path]:
        """A new directory in `t/`; if the block fails before it is renamed, nothing stays."""
        directory = self._layout.temporary(uid)
        self._files.make_directory(directory)
        try:
            yield directory
        except Exception:
            self.take_apart(directory)
            raise

    def finish(self, directory: Path, record: bytes) -> None:
        """Add the record to the image; when this returns, both are durable below `directory`."""
        self._files.create(directory / RECORD, record)
        if not self._is_ordered:
            # An ordered log was flushed with the record, and all that went before with it; each
            # further sync would only make the device flush its cache once more.
            self._files.sync(directory / IMAGE)
            self._files.sync(directory)

    def take_apart(self, directory: Path) -> None:
        """Delete an object that has no name, by the exact names of its files; safe to repeat.

        Anything else in the directory makes this fail with ENOTEMPTY and stays (rules.md A2).
        """
        for name in OWN_FILES:
            remove_if_there(self._files.unlink, directory / name)
        remove_if_there(self._files.remove_directory, directory)


def is_whole_snapshot(directory: Path, name: str) -> bool:
    """Whether a snapshot in `t/` has all its files, so that it can be given this name.

    Raises `RecordCorruptError` where it has them and its record is damaged.
    """
    image, record = directory / IMAGE, directory / RECORD
    try:
        modes = [path.lstat().st_mode for path in (image, record)]
    except (FileNotFoundError, NotADirectoryError):
        return False
    if not all(map(stat.S_ISREG, modes)):
        return False
    snapshot = parse_snapshot(read_small(directory, RECORD), name=name, path=record)
    return image.lstat().st_size >= snapshot.size_bytes
