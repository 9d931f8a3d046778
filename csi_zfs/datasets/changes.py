"""What an engine of datasets tells about the difference of two snapshots: `SnapshotChanges`."""

from collections.abc import Iterator
from typing import Protocol

from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.model import ChangedRange


class UnrelatedSnapshotsError(InvalidRequestError):
    """The engine cannot tell how these differ: the older one is no ancestor of the newer one."""


class SnapshotChanges(Protocol):
    """The part of a `DatasetManager` by which only what changed has to be read."""

    def changed_ranges(self, old_name: str, new_name: str) -> Iterator[ChangedRange]:
        """Where the newer of two snapshots of zvols may differ from the older one.

        Outside of these ranges every byte of the newer one is that of the older one, which counts
        as zeros behind its end; within them bytes may be equal by chance.  They rise, do not
        overlap, and end within the newer one's size.  The newer one reads as zeros where
        `is_zero` says so; where it does not, it may too.  A snapshot and itself differ nowhere.

        No data is read or compared, and the memory does not grow with what changed.  **An error
        may come at any point, and then the ranges before it are worth nothing**: act on the first
        when the last has come.  The caller keeps both snapshots under their names for so long
        (`hold`); one that is open here may refuse its destroy as busy.  Closing the iterator ends
        the work.

        Args:
            old_name: the older snapshot, of the same dataset or of one that it was cloned from.
            new_name: the newer one.

        Raises:
            DatasetNotFoundError: one of them is missing, or went before the end.
            UnsupportedFeatureError: they are of file systems.
            UnrelatedSnapshotsError: this engine needs the older one to be an ancestor of the
                newer one, and it is not.
        """
