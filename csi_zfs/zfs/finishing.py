"""Creations that a power cut ended half-way: a dataset is there, and its record is not.

The kernel makes a dataset in one transaction and sets its properties in later ones, and no channel
program can make a dataset.  So a repeated creation finishes one that is as new, or makes it anew.
"""

import logging

from csi_zfs.datasets.api import Dataset, DatasetExistsError, DatasetKind
from csi_zfs.datasets.names import split_snapshot
from csi_zfs.zfs.engine import Engine, size_properties, volblocksize_bytes_of
from csi_zfs.zfs.giving_back import giving_back_with
from csi_zfs.zfs.lzc import ProgramValue
from csi_zfs.zfs.properties import mutable_properties
from csi_zfs.zfs.records import DATASET_PROPERTY, encode_dataset

log = logging.getLogger(__name__)

# What a zvol of any size, and a file system, refer to before anything was written, measured on
# OpenZFS 2.3.  Where it is more, nothing is finished: to be refused is the safe side.
_EMPTY_BYTES = {DatasetKind.ZVOL: 6144, DatasetKind.FILESYSTEM: 12288}
_EMPTY_ENCRYPTED_BYTES = {DatasetKind.ZVOL: 26112, DatasetKind.FILESYSTEM: 50176}


def finish_creation(engine: Engine, dataset: Dataset) -> None:
    """Give a dataset of this name, without a record and without data, its properties and record.

    Raises `DatasetExistsError` for anything else that has the name.
    """
    _require_as_new(engine, dataset, {})
    if dataset.kind is DatasetKind.FILESYSTEM:
        _require_made_with(engine, dataset)
    native = _native_of(engine, dataset)
    if native:
        engine.native.set(dataset.name, native)
    # Last: whoever finds a record trusts that all is done.
    _require_as_new(engine, dataset, {**encode_dataset(dataset)})
    log.warning("%s was made half when the machine stopped, and is finished now", dataset.name)


def discard_unfinished(engine: Engine, dataset: Dataset) -> None:
    """Destroy an encrypted dataset of this name, without a record and without data.

    The salt of its key was to be in the record, so nobody can open it.  Raises
    `DatasetExistsError` for anything else that has the name.
    """
    arguments: dict[str, ProgramValue] = {
        "property": DATASET_PROPERTY,
        "empty_bytes": _EMPTY_ENCRYPTED_BYTES[dataset.kind],
        "kind": dataset.kind.value,
    }
    if dataset.kind is DatasetKind.ZVOL:
        arguments["volsize"] = dataset.size_bytes
    engine.home.change("discard", dataset.name, **arguments)
    log.warning("%s was made half when the machine stopped, and is made anew", dataset.name)


def discard_unfinished_clone(engine: Engine, clone: Dataset) -> None:
    """Destroy a clone of this name and of the same dataset, without a record and never written to.

    Raises `DatasetExistsError` for anything else that has the name.
    """
    source = engine.home.full(split_snapshot(clone.origin)[0])
    # A copy of a live dataset has a hidden snapshot, which goes along.
    with giving_back_with(engine, engine.objects.dataset(clone.name).origin):
        engine.home.change("discard_clone", clone.name, property=DATASET_PROPERTY, source=source)
    log.warning("%s was cloned half when the machine stopped, and is cloned anew", clone.name)


def _native_of(engine: Engine, dataset: Dataset) -> dict[str, str]:
    mutable = mutable_properties(dataset.kind)
    native = {key: text for key, text in dataset.properties.items() if key in mutable}
    sizes = size_properties(engine, dataset)
    if dataset.kind is DatasetKind.FILESYSTEM:
        native["mountpoint"] = "legacy"
    else:
        del sizes["volsize"]  # a zvol is made with it
    return native | {key: str(value) for key, value in sizes.items()}


def _require_made_with(engine: Engine, dataset: Dataset) -> None:
    """Check what was chosen in the first transaction, for ever; a program reads defaults of it."""
    full_name = engine.home.full(dataset.name)
    for key in sorted(dataset.properties.keys() - mutable_properties(dataset.kind)):
        shown = engine.runner.run(["zfs", "get", "-Hp", "-o", "value", key, full_name])
        if shown.output.strip() != dataset.properties[key]:
            raise DatasetExistsError(f"{dataset.name} exists, with another {key}")


def _require_as_new(
    engine: Engine, dataset: Dataset, user_properties: dict[str, ProgramValue]
) -> None:
    """Check, and in the same transaction set these."""
    common: dict[str, ProgramValue] = {
        "property": DATASET_PROPERTY,
        "empty_bytes": _EMPTY_BYTES[dataset.kind],
        "properties": user_properties,
    }
    if dataset.kind is DatasetKind.FILESYSTEM:
        engine.home.change("finish_filesystem", dataset.name, **common)
        return
    engine.home.change(
        "finish",
        dataset.name,
        volsize=dataset.size_bytes,
        volblocksize=volblocksize_bytes_of(dataset),
        **common,
    )
