"""What walking or unpacking a tree tells beside its result: counts, and what could not be done."""

import enum
from collections.abc import Callable
from dataclasses import dataclass


class ProblemKind(enum.StrEnum):
    """What went otherwise than asked."""

    VANISHED = "vanished"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    TOO_DEEP = "too-deep"
    LEFT_OUT = "left-out"
    METADATA = "metadata"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Problem:
    """One path and what went otherwise there; `detail` is for people."""

    path: bytes
    kind: ProblemKind
    detail: str


Told = Callable[[Problem], None]


@dataclass(slots=True)
class TreeTotals:
    """Counts that rise while the work goes on; any thread may look at them.

    `size_bytes` is the length of all files together, each hard link once.
    """

    files: int = 0
    directories: int = 0
    others: int = 0
    links: int = 0
    sockets: int = 0
    problems: int = 0
    size_bytes: int = 0
    read_bytes: int = 0

    @property
    def entries(self) -> int:
        """All that has a name in the tree."""
        return self.files + self.directories + self.others + self.links
