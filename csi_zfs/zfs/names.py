"""Which names may become names of ZFS: nothing else reaches a call (rules.md C1)."""

import re

from csi_zfs.datasets.names import (
    OBJECT_LEAF_PATTERN,
    VOLUMES,
    InvalidNameError,
    is_tombstone,
)

_OBJECT = re.compile(rf"{VOLUMES}/{OBJECT_LEAF_PATTERN}(?:@{OBJECT_LEAF_PATTERN})?", re.ASCII)


def require_object_name(name: str) -> str:
    """The same name; raises `InvalidNameError`."""
    if _OBJECT.fullmatch(name) is None:
        raise InvalidNameError(f"{name[:128]!r} is not the name of a dataset or snapshot")
    return name


def require_tombstone_name(name: str) -> None:
    """Raise `InvalidNameError` unless this is the name of a deleted dataset."""
    if not is_tombstone(name):
        raise InvalidNameError(f"{name[:128]!r} is not the name of a tombstone")
