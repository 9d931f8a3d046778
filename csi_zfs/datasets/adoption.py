"""What an engine promises that can take over datasets made by hand: `DatasetAdopter`."""

from typing import Protocol

from csi_zfs.datasets.api import Dataset
from csi_zfs.domain.errors import InUseError


class NotAdoptableError(InUseError):
    """The dataset cannot be taken over as it is; the text says what to change."""


class DatasetAdopter(Protocol):
    """Takes over datasets that lie where the engine's own do, and have no record of it.

    Works beside a driver that serves the pool.
    """

    def look(self, name: str) -> Dataset:
        """What a dataset made by hand would be, with a new uid; changes nothing.

        Raises:
            DatasetNotFoundError: there is none.
            NotAdoptableError: it is not one that can be taken over.
            DatasetBusyError: somebody has it mounted, or its device in use.
        """

    def adopt(self, dataset: Dataset) -> Dataset:
        """Write what `look` found, with user properties, as its record; its data stays untouched.

        One transaction, in which it must still be so.

        Raises:
            DatasetExistsError: it has a record by now.
            RecordChangedError: it was changed meanwhile.
            DatasetNotFoundError, DatasetBusyError: as for `look`.
        """
