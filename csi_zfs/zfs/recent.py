"""What was read a moment ago, so that a change need not read it again.

A service reads from the pool what it is about to change, under its lock, and the engine begins with
the same.  One driver serves a pool, and a destroy compares the record in its transaction, so what
was read a moment ago is as good as what is read now.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from csi_zfs.datasets.api import Dataset, DatasetSnapshot
from csi_zfs.system.clock import Clock

# Two calls of one service are not further apart.
_MOMENT_S = 1.0
_MOST = 256


@dataclass(frozen=True, slots=True)
class Read:
    """An object and the text of its record, which is empty where it was not kept."""

    entry: Dataset | DatasetSnapshot
    record: str = ""


class RecentReads:
    """Datasets and snapshots by name, each for a moment and for one use.  Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        """Begin with none."""
        self._clock = clock
        self._guard = threading.Lock()
        self._reads: OrderedDict[str, tuple[float, Read]] = OrderedDict()

    def remember(self, read: Read) -> None:
        """Keep what was just read, in place of what was read before."""
        name = read.entry.name
        with self._guard:
            self._reads[name] = (self._clock.monotonic_s(), read)
            self._reads.move_to_end(name)
            if len(self._reads) > _MOST:
                self._reads.popitem(last=False)

    def take(self, name: str) -> Read | None:
        """What was read of this name a moment ago, once; None where nothing was."""
        with self._guard:
            read_s, read = self._reads.pop(name, (0.0, None))
        return read if self._clock.monotonic_s() - read_s <= _MOMENT_S else None
