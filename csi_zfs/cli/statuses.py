"""How commands end: the exit status for each error, in one place."""

from csi_zfs.domain.errors import CorruptionError, CsiZfsError
from csi_zfs.settings import SettingsError

REFUSED = 1
WRONG_SETTINGS = 2
DAMAGED = 3
IN_PART = 4
BUG = 70  # EX_SOFTWARE of sysexits.h


def status_of(exc: Exception) -> int:
    """The exit status that an error ends a command with."""
    match exc:
        case SettingsError():
            return WRONG_SETTINGS
        case CorruptionError():
            return DAMAGED
        case CsiZfsError():
            return REFUSED
        case _:
            return BUG
