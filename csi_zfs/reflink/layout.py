"""Where things lie below the root directory of a pool.

    pool.json                           what pool this is; present from the end of its making on
    v/<leaf>/image, record.json         one dataset
    v/<leaf>/@<leaf>/image, record.json its snapshots, so that a rename carries them along
    t/<uid>/                            being made or destroyed; emptied when the pool is opened
    j/<uid>.json                        snapshots of several datasets on their way to their names

An object's directory appears under its name, and vanishes from it, by one rename.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from csi_zfs.datasets.names import (
    OBJECT_LEAF_PATTERN,
    VOLUMES,
    InvalidNameError,
    split_snapshot,
)

IMAGE = "image"
RECORD = "record.json"
SNAPSHOT_MARK = "@"

_DATASET = re.compile(rf"{VOLUMES}/{OBJECT_LEAF_PATTERN}", re.ASCII)
_SNAPSHOT = re.compile(rf"{VOLUMES}/{OBJECT_LEAF_PATTERN}@{OBJECT_LEAF_PATTERN}", re.ASCII)


@dataclass(frozen=True)
class Layout:
    """The paths of one pool; no name outside the grammar becomes a path (rules.md C1)."""

    root: Path

    @cached_property
    def anchor(self) -> Path:
        """The file that says which pool this is."""
        return self.root / "pool.json"

    @cached_property
    def volumes(self) -> Path:
        """The directory of all datasets."""
        return self.root / VOLUMES

    @cached_property
    def temporaries(self) -> Path:
        """The directory of what is being made or destroyed."""
        return self.root / "t"

    @cached_property
    def journals(self) -> Path:
        """The directory of the journals."""
        return self.root / "j"

    def temporary(self, uid: str) -> Path:
        """Where the object with this uid is made or destroyed."""
        return self.temporaries / uid

    def journal(self, uid: str) -> Path:
        """Where the journal with this uid is kept."""
        return self.journals / f"{uid}.json"

    def dataset(self, name: str) -> Path:
        """The directory of a dataset; raises `InvalidNameError`."""
        return self.root / place_of_dataset(name)

    def snapshot(self, name: str) -> Path:
        """The directory of a snapshot; raises `InvalidNameError`."""
        return self.root / place_of_snapshot(name)

    def object(self, name: str) -> Path:
        """The directory of a dataset or a snapshot; raises `InvalidNameError`."""
        return self.root / place_of(name)


def place_of(name: str) -> str:
    """Where a dataset or a snapshot lies below the root; raises `InvalidNameError`."""
    return place_of_snapshot(name) if SNAPSHOT_MARK in name else place_of_dataset(name)


def place_of_dataset(name: str) -> str:
    """Where a dataset lies below the root; raises `InvalidNameError`."""
    if _DATASET.fullmatch(name) is None:
        raise InvalidNameError(f"{name[:128]!r} is not the name of a dataset")
    return name


def place_of_snapshot(name: str) -> str:
    """Where a snapshot lies below the root; raises `InvalidNameError`."""
    if _SNAPSHOT.fullmatch(name) is None:
        raise InvalidNameError(f"{name[:128]!r} is not the name of a snapshot")
    dataset_name, leaf = split_snapshot(name)
    return f"{dataset_name}/{SNAPSHOT_MARK}{leaf}"
