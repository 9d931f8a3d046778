"""Volumes that a node's pools hold already, and datasets made by hand that become some."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from csi_zfs.datasets import names
from csi_zfs.datasets.adoption import DatasetAdopter
from csi_zfs.datasets.api import (
    Dataset,
    DatasetExistsError,
    DatasetKind,
    DatasetManager,
    RecordCorruptError,
)
from csi_zfs.domain.capabilities import FS_TYPES, NATIVE_FS_TYPE, AccessType
from csi_zfs.domain.errors import IncompatibleError, InvalidRequestError
from csi_zfs.services import records
from csi_zfs.services.entries import VolumeEntry, entry_of_volume
from csi_zfs.services.records import DiskFormat, FormatState, VolumeRecord

BLOCK = "block"
CONTENTS = (BLOCK, *FS_TYPES)


class AdoptedNameError(InvalidRequestError):
    """The dataset's name is not one that a volume of the driver can have."""


class ContentUnknownError(InvalidRequestError):
    """Somebody has to say what a zvol holds: nobody looks into it."""


class DifferentContentError(IncompatibleError):
    """The dataset holds something else than was said."""


def volumes_on(pool: DatasetManager) -> Iterator[VolumeEntry | RecordCorruptError]:
    """The volumes of a pool that a cluster may know; what cannot be read is its error.

    Without deleted ones, and without inline ephemeral ones, which belong to their pods.
    """
    for dataset in pool.list():
        if isinstance(dataset, RecordCorruptError):
            yield dataset
        elif _is_for_a_cluster(dataset):
            try:
                yield entry_of_volume(pool, dataset)
            except RecordCorruptError as exc:
                yield exc


def _is_for_a_cluster(dataset: Dataset) -> bool:
    is_other = names.is_tombstone(dataset.name) or names.is_ephemeral(dataset.name)
    return not is_other and records.is_our_volume(dataset.user_properties)


@dataclass(frozen=True, slots=True)
class Adoption:
    """Makes volumes of datasets that somebody made by hand in a pool, where they are."""

    pool: DatasetManager
    adopter: DatasetAdopter

    def adopt(self, leaf: str, *, content: str = "", is_dry_run: bool = False) -> VolumeEntry:
        """Make the dataset of this name a volume, or return the volume that it is already.

        Safe to repeat.  With `is_dry_run` nothing is written, and the volume would get another uid.

        Args:
            leaf: the last part of the dataset's name, and of the volume's.
            content: what it holds, one of `CONTENTS`; a file system of ZFS says so itself.
            is_dry_run: only look.

        Raises:
            AdoptedNameError, ContentUnknownError, DifferentContentError: see them.
            NotAdoptableError, DatasetBusyError: the text says what to change first.
            DatasetNotFoundError: there is no such dataset.
        """
        if names.leaf_of(leaf) != leaf:
            raise AdoptedNameError(
                f"{leaf[:64]!r} cannot be the name of a volume: rename the dataset to 1 to 48 of"
                " a-z, 0-9, '.', '_' and '-', a letter or digit first, and not beginning with h-"
            )
        name = names.dataset_of(leaf)
        known = self.pool.get(name)
        if records.is_our_volume(known.user_properties):
            return self._same(known, content)
        dataset = _recorded(self.adopter.look(name), leaf, content)
        if is_dry_run:
            return entry_of_volume(self.pool, dataset)
        try:
            self.adopter.adopt(dataset)
        except DatasetExistsError:  # by somebody else, in this very moment
            return self._same(self.pool.get(name), content)
        return entry_of_volume(self.pool, self.pool.get(name))

    def _same(self, dataset: Dataset, content: str) -> VolumeEntry:
        entry = entry_of_volume(self.pool, dataset)
        disk = entry.record.disk
        held = BLOCK if disk.access_type is AccessType.BLOCK else disk.fs_type
        if content not in ("", held):
            raise DifferentContentError(f"{dataset.name} is a volume already, with {held} in it")
        return entry


def _recorded(dataset: Dataset, leaf: str, content: str) -> Dataset:
    record = VolumeRecord(leaf, _disk_of(dataset, content))
    return replace(dataset, user_properties=records.format_volume(record))


def _disk_of(dataset: Dataset, content: str) -> DiskFormat:
    """What it holds; it is never formatted, and its file system is looked at when it is staged."""
    if dataset.kind is DatasetKind.FILESYSTEM:
        if content not in ("", NATIVE_FS_TYPE):
            raise DifferentContentError(f"{dataset.name} is a file system of ZFS, not {content}")
        return DiskFormat(AccessType.MOUNT, NATIVE_FS_TYPE, FormatState.FORMATTED)
    if content == BLOCK:
        return DiskFormat(AccessType.BLOCK, state=FormatState.FORMATTED)
    if not content:
        words = " or ".join(one for one in CONTENTS if one != NATIVE_FS_TYPE)
        raise ContentUnknownError(f"{dataset.name} is a zvol: say whether it holds {words}")
    if content == NATIVE_FS_TYPE:
        raise DifferentContentError(f"{dataset.name} is a zvol, and no file system of ZFS")
    # It may be a copy of another one, with the same UUID.
    return DiskFormat(AccessType.MOUNT, content, FormatState.FORMATTED, has_twin_uuid=True)
