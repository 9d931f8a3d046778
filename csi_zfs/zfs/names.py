"""Which names may become names of ZFS: nothing else reaches a call (rules.md C1)."""

import re

from csi_zfs.datasets.names import VOLUMES
from csi_zfs.domain.errors import InvalidRequestError

_LEAF = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_OBJECT = re.compile(rf"{VOLUMES}/{_LEAF}(?:@{_LEAF})?", re.ASCII)


class InvalidNameError(InvalidRequestError):
    """The name is none of a dataset or snapshot of ours."""


def require_object_name(name: str) -> str:
    """The same name; raises `InvalidNameError`."""
    if _OBJECT.fullmatch(name) is None:
        raise InvalidNameError(f"{name[:128]!r} is not the name of a dataset or snapshot")
    return name
