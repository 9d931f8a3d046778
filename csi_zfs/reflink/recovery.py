"""What is done when a pool is opened: the work that a crash cut short is finished or undone."""

import logging
import stat
from pathlib import Path

from csi_zfs.datasets.api import RecordCorruptError
from csi_zfs.reflink.layout import Layout
from csi_zfs.reflink.namespace import Namespace
from csi_zfs.reflink.workshop import OWN_FILES, Workshop
from csi_zfs.system.files import Files

_log = logging.getLogger(__name__)
_HIDDEN = "."


class Recovery:
    """Empties `j/` and `t/`; to be run once, before anything else works on the pool."""

    def __init__(
        self, layout: Layout, files: Files, *, namespace: Namespace, workshop: Workshop
    ) -> None:
        """Recover below `layout` through `files`."""
        self._layout = layout
        self._files = files
        self._namespace = namespace
        self._workshop = workshop

    def run(self) -> list[RecordCorruptError]:
        """Keep the promises of the journals, then take apart what is left in `t/`.

        A damaged journal is returned; `t/` is then left as it is, since what it holds was promised.
        Things that the driver did not make are logged and left alone.
        """
        journals = sorted(self._layout.journals.iterdir())
        damaged = [error for path in journals if (error := self._kept(path))]
        if not damaged:
            for path in sorted(self._layout.temporaries.iterdir()):
                self._cleared(path)
        return damaged

    def _kept(self, journal: Path) -> RecordCorruptError | None:
        if journal.name.startswith(_HIDDEN):  # it was being written: nothing is promised yet
            self._files.unlink(journal)
            return None
        if not stat.S_ISREG(journal.lstat().st_mode):
            _log.warning("%s is not the driver's and is left alone", journal)
            return None
        try:
            self._namespace.publish_the_rest(journal)
        except RecordCorruptError as exc:
            _log.error("a journal is damaged: %s", exc)
            return exc
        return None

    def _cleared(self, path: Path) -> None:
        is_directory = stat.S_ISDIR(path.lstat().st_mode)
        if not is_directory or {entry.name for entry in path.iterdir()} - set(OWN_FILES):
            _log.warning("%s is not the driver's and is left alone", path)
            return
        self._workshop.take_apart(path)
