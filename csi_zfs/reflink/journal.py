"""Journals: how the snapshots of several datasets get their names all together or not at all.

A journal on the disk is a promise: each snapshot in it is whole in `t/` and gets its name, if need
be when the pool is opened the next time.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from csi_zfs.reflink.kernel import read_small
from csi_zfs.reflink.layout import Layout
from csi_zfs.reflink.records import Move, encode_journal, parse_journal
from csi_zfs.system.files import Files, write_durably


class Journals:
    """The directory `j/` of a pool."""

    def __init__(self, layout: Layout, files: Files) -> None:
        """Keep journals below `layout` through `files`."""
        self._layout = layout
        self._files = files

    def path_for(self, moves: Sequence[Move]) -> Path:
        """Where the journal of these moves is kept."""
        return self._layout.journal(moves[0].uid)

    def write(self, moves: Sequence[Move]) -> None:
        """Promise these moves; durable when this returns, and after an error perhaps there."""
        write_durably(self._files, self.path_for(moves), encode_journal(moves))

    def read(self, path: Path) -> list[Move]:
        """What a journal promises; raises `RecordCorruptError`."""
        return parse_journal(read_small(path.parent, path.name), path=path)

    def forget(self, path: Path) -> None:
        """Remove a journal that is kept or taken back; durable when this returns; repeatable."""
        with suppress(FileNotFoundError):
            self._files.unlink(path)
        self._files.sync(self._layout.journals)
