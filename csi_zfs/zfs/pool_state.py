"""The state of a pool as the kernel says it: cheap, and read without any lock of OpenZFS."""

import enum
from pathlib import Path

KSTAT = Path("/proc/spl/kstat/zfs")


class PoolState(enum.StrEnum):
    """The words of the kernel (`spa_state_to_name`), and one for a pool that it does not know."""

    ONLINE = "ONLINE"
    DEGRADED = "DEGRADED"
    SUSPENDED = "SUSPENDED"
    FAULTED = "FAULTED"
    UNAVAIL = "UNAVAIL"
    OFFLINE = "OFFLINE"
    REMOVED = "REMOVED"
    SPLIT = "SPLIT"
    TRANSITIONING = "TRANSITIONING"
    UNKNOWN = "UNKNOWN"
    NOT_IMPORTED = "NOT_IMPORTED"

    @classmethod
    def of_word(cls, word: str) -> "PoolState":
        """The state of that name; a word of a later kernel is `UNKNOWN`."""
        try:
            return cls(word)
        except ValueError:
            return cls.UNKNOWN


class PoolStates:
    """Reads states of pools; also those of a suspended one, where `zpool` may wait for ever."""

    def __init__(self, root: Path = KSTAT) -> None:
        """Read below `root`."""
        self._root = root

    def read(self, zpool_name: str) -> PoolState:
        """The state of a pool now."""
        try:
            word = (self._root / zpool_name / "state").read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return PoolState.NOT_IMPORTED
        return PoolState.of_word(word)
