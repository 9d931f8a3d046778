"""The moves of objects between `t/` and their names: each by one rename, never over anything.

A dataset's directory holds its snapshots, so "it has none" must stay true until it is moved away.
All moves therefore share one lock, held for the renames alone (and for the journal of a group).
"""

import logging
import os
import threading
from collections.abc import Sequence
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
from csi_zfs.reflink.workshop import OWN_FILES
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
        with self._lock:
            self._move(self._layout.temporary(uid), name)
        try:
            self._files.sync(self._layout.object(name).parent)
        except OSError as exc:
            raise PoolUnavailableError(f"{name} is made, but not durably: {exc.strerror}") from exc

    def publish_all(self, moves: Sequence[Move]) -> None:
        """Give several snapshots their names: all, also across a crash, or none."""
        with self._lock:
            for move in moves:
                self.require_free(move.snapshot_name)
            journal = self._journals.write(moves)
            try:
                self._move_all(moves)
            except Exception:  # for example a directory that had to grow on a full pool
                self._move_back(moves)
                self._journals.forget(journal)
                raise
        self._sync_parents(moves)
        self._journals.forget(journal)

    def publish_the_rest(self, journal: Path) -> None:
        """Keep the promise of a journal that a crash left; raises `RecordCorruptError`.

        A snapshot that cannot get its name any more (nothing but damage explains it) is logged.
        """
        moves = self._journals.read(journal)
        for move in moves:
            if os.path.lexists(self._layout.temporary(move.uid)):
                self._publish_or_log(move)
        self._sync_parents(moves)
        self._journals.forget(journal)

    def rename(self, name: str, new_name: str) -> None:
        """Give a dataset (with its snapshots) or a snapshot another name beside the old one."""
        path = self._layout.object(name)
        with self._lock:
            self._move(path, new_name)
        self._files.sync(path.parent)

    def withdraw(self, name: str, uid: str) -> Path:
        """Take the name of an object away; returns its directory in `t/`.

        Raises:
            HasDependentsError: it has snapshots.
            RecordCorruptError: something lies in it that the driver did not make.
        """
        path, temporary = self._layout.object(name), self._layout.temporary(uid)
        with self._lock:
            self._require_bare(name)
            self._files.rename_new(path, temporary)
        self._files.sync(path.parent)
        return temporary

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
        self._sync_parents(moves)

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
