"""The moves of objects between `t/` and their names: each by one rename, never over anything.

A dataset's directory holds its snapshots, so "it has none" must stay true until it is moved away.
All moves therefore share one lock, held for the renames alone (and for the journal of a group).

A fault can leave a journal behind whose promise is kept or taken back.  No name changes before it
is forgotten: the next start would bring back what was deleted since.
"""

import logging
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.datasets.api import (
    DatasetExistsError,
    HasDependentsError,
    PoolUnavailableError,
    RecordCorruptError,
)
from csi_zfs.reflink.journal import Journals
from csi_zfs.reflink.layout import Layout
from csi_zfs.reflink.objects import Objects, snapshot_leaves
from csi_zfs.reflink.records import Move
from csi_zfs.reflink.workshop import OWN_FILES, is_whole_snapshot
from csi_zfs.system.files import Files

_log = logging.getLogger(__name__)


class Namespace:
    """Gives names to objects, changes and takes them.  Thread-safe; durable when a method returns.

    Where a name is taken, every method raises `DatasetExistsError` and has changed nothing.
    """

    def __init__(self, layout: Layout, files: Files, objects: Objects) -> None:
        """Move below `layout` through `files`."""
        self._layout = layout
        self._files = files
        self._objects = objects
        self._journals = Journals(layout, files)
        self._unsettled: dict[Path, Sequence[Move]] = {}
        self._lock = threading.Lock()

    def require_free(self, name: str) -> None:
        """Raise `DatasetExistsError` where something has this name."""
        if os.path.lexists(self._layout.object(name)):
            raise DatasetExistsError(f"{name} exists")

    def publish(self, uid: str, name: str) -> None:
        """Give the object in `t/<uid>` its name.

        Once it has the name, no fault is called "full": callers take that for "nothing was made"
        (rules.md B10).
        """
        with self._changing_names():
            self._move(self._layout.temporary(uid), name)
        try:
            self._files.sync(self._layout.object(name).parent)
        except OSError as exc:
            raise PoolUnavailableError(f"{name} is made, but not durably: {exc.strerror}") from exc

    def publish_all(self, moves: Sequence[Move]) -> None:
        """Give several snapshots their names: all, also across a crash, or none."""
        with self._changing_names():
            for move in moves:
                self.require_free(move.snapshot_name)
            journal = self._journals.path_for(moves)
            self._unsettled[journal] = moves
            try:
                self._journals.write(moves)
                self._move_all(moves)
            except Exception:  # for example a directory that had to grow on a full pool
                self._move_back(moves)
                self._settle(journal, moves)
                raise
        self._settle(journal, moves)

    def publish_the_rest(self, journal: Path) -> None:
        """Keep the promise of a journal that a crash left; raises `RecordCorruptError`.

        A group of which something is neither whole in `t/` nor under its name was taken back, or
        deleted in part: nothing more of it gets a name.  A snapshot that cannot get its name any
        more (nothing but damage explains it) is logged.
        """
        moves = self._journals.read(journal)
        if all(self._is_whole(move) for move in moves):
            for move in moves:
                if os.path.lexists(self._layout.temporary(move.uid)):
                    self._publish_or_log(move)
        else:
            _log.warning("snapshot %s of a group was cut short", moves[0].snapshot_name)
        self._settle(journal, moves)

    def rename(self, name: str, new_name: str) -> None:
        """Give a dataset (with its snapshots) or a snapshot another name beside the old one."""
        path = self._layout.object(name)
        with self._changing_names():
            self._move(path, new_name)
        self._files.sync(path.parent)

    def withdraw(self, name: str, uid: str) -> Path:
        """Take the name of an object away; returns its directory in `t/`.

        Raises:
            HasDependentsError: it has snapshots.
            RecordCorruptError: something lies in it that the driver did not make.
        """
        path, temporary = self._layout.object(name), self._layout.temporary(uid)
        with self._changing_names():
            self._require_bare(name)
            self._files.rename_new(path, temporary)
        self._files.sync(path.parent)
        return temporary

    @contextmanager
    def _changing_names(self) -> Iterator[None]:
        with self._lock:
            for journal, moves in list(self._unsettled.items()):
                self._settle(journal, moves)
            yield

    def _settle(self, journal: Path, moves: Sequence[Move]) -> None:
        self._sync_parents(moves)
        self._journals.forget(journal)
        self._unsettled.pop(journal, None)

    def _require_bare(self, name: str) -> None:
        contents = self._objects.contents(name)
        if leaves := snapshot_leaves(contents):
            raise HasDependentsError(f"{name} has {len(leaves)} snapshots: {leaves[0]} ...")
        if foreign := set(contents) - set(OWN_FILES):
            words = ", ".join(sorted(foreign)[:3])
            raise RecordCorruptError(f"{name} holds what is not the driver's: {words}")

    def _move(self, path: Path, name: str) -> None:
        try:
            self._files.rename_new(path, self._layout.object(name))
        except FileExistsError as exc:
            raise DatasetExistsError(f"{name} exists") from exc

    def _move_all(self, moves: Sequence[Move]) -> None:
        for move in moves:
            self._move(self._layout.temporary(move.uid), move.snapshot_name)

    def _move_back(self, moves: Sequence[Move]) -> None:
        for move in moves:
            temporary = self._layout.temporary(move.uid)
            if not os.path.lexists(temporary):
                self._files.rename_new(self._layout.snapshot(move.snapshot_name), temporary)

    def _is_whole(self, move: Move) -> bool:
        temporary = self._layout.temporary(move.uid)
        if os.path.lexists(temporary):
            return is_whole_snapshot(temporary, move.snapshot_name)
        return os.path.lexists(self._layout.snapshot(move.snapshot_name))

    def _publish_or_log(self, move: Move) -> None:
        try:
            self._move(self._layout.temporary(move.uid), move.snapshot_name)
        except (DatasetExistsError, FileNotFoundError) as exc:
            _log.error("snapshot %s of a group is lost: %s", move.snapshot_name, exc)

    def _sync_parents(self, moves: Sequence[Move]) -> None:
        parents = [self._layout.snapshot(move.snapshot_name).parent for move in moves]
        for parent in dict.fromkeys(parents):
            if parent.exists():
                self._files.sync(parent)
