"""Undoing what a refused call has left behind."""

from contextlib import suppress

from csi_zfs.datasets.api import Dataset, DatasetNotFoundError
from csi_zfs.zfs.closing import when_closed
from csi_zfs.zfs.engine import Engine
from csi_zfs.zfs.outcomes import RecordChangedError
from csi_zfs.zfs.records import DATASET_PROPERTY, encode_dataset


def take_back(engine: Engine, clone: Dataset) -> None:
    """Destroy a clone that was refused, if it is there, and nothing else of its name.

    The kernel itself cannot once udev has its device open.  It has all that was asked for, the
    record too, but for what was refused: a thick volume for which nothing is reserved.

    Raises `DatasetBusyError`, `PoolUnavailableError`.
    """
    record = encode_dataset(clone)[DATASET_PROPERTY]

    def attempt() -> None:
        engine.home.change("destroy", clone.name, property=DATASET_PROPERTY, record=record)

    with suppress(DatasetNotFoundError, RecordChangedError):
        when_closed(engine.clock, attempt)
