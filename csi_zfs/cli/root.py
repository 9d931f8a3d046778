"""Commands that mount and attach devices need root, and say so before they do anything."""

import os

from csi_zfs.domain.errors import InvalidRequestError


class RootNeededError(InvalidRequestError):
    """The command was started without root's rights."""


def require_root() -> None:
    """Refuse to go on without root; raises `RootNeededError`."""
    if os.geteuid() != 0:
        raise RootNeededError("needs root: run it with sudo, or as a privileged container")
