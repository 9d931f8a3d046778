"""Creations that a power cut ended half-way: a zvol is there, and its record is not.

The kernel makes a dataset in one transaction and sets its properties in later ones, and no channel
program can make a dataset.  So a repeated creation finishes one that is as new.
"""

import logging

from csi_zfs.datasets.api import Dataset
from csi_zfs.zfs.engine import Engine, volblocksize_bytes_of
from csi_zfs.zfs.lzc import ProgramValue
from csi_zfs.zfs.records import DATASET_PROPERTY, encode_dataset

log = logging.getLogger(__name__)

# What a zvol of any size refers to before anything was written, measured on OpenZFS 2.3.
# Where it is more, nothing is finished: to be refused is the safe side.
_EMPTY_BYTES = 6144


def finish_creation(engine: Engine, dataset: Dataset) -> None:
    """Give a zvol of this name, without a record and without data, the properties and the record.

    Raises `DatasetExistsError` for anything else that has the name.
    """
    _require_as_new(engine, dataset, {})
    native = dict(dataset.properties)
    if dataset.is_thick:
        native["refreservation"] = str(engine.reservation_bytes(dataset))
    native.pop("volblocksize", None)
    if native:
        engine.native.set(dataset.name, native)
    # Last: whoever finds a record trusts that all is done.
    _require_as_new(engine, dataset, {**encode_dataset(dataset)})
    log.warning("%s was made half when the machine stopped, and is finished now", dataset.name)


def _require_as_new(
    engine: Engine, dataset: Dataset, user_properties: dict[str, ProgramValue]
) -> None:
    """Check, and in the same transaction set these."""
    engine.home.change(
        "finish",
        dataset.name,
        property=DATASET_PROPERTY,
        volsize=dataset.size_bytes,
        volblocksize=volblocksize_bytes_of(dataset),
        empty_bytes=_EMPTY_BYTES,
        properties=user_properties,
    )
