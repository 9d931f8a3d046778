"""Time, injected, so that no test sleeps."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the product asks of time."""

    def now_ns(self) -> int:
        """Wall clock, nanoseconds since 1970 UTC: for records, never for measuring."""

    def monotonic_s(self) -> float:
        """Seconds that only grow: for durations and deadlines."""

    def wait(self, seconds: float) -> None:
        """Let `seconds` pass."""


class SystemClock:
    """The machine's clocks."""

    def now_ns(self) -> int:
        """See `Clock`."""
        return time.time_ns()

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return time.monotonic()

    def wait(self, seconds: float) -> None:
        """See `Clock`."""
        threading.Event().wait(seconds)
