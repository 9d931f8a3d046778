"""Time that moves only when a test says so."""

import threading

START_NS = 1_700_000_000_000_000_000
_NS_PER_S = 1_000_000_000


class FakeClock:
    """A `Clock` whose `wait` returns at once, with the time moved on.  Thread-safe."""

    def __init__(self, *, start_ns: int = START_NS) -> None:
        """Begin at `start_ns`, and at second 0 of the monotonic clock."""
        self._start_ns = start_ns
        self._passed_ns = 0
        self._lock = threading.Lock()

    def now_ns(self) -> int:
        """See `Clock`."""
        return self._start_ns + self._passed_ns

    def monotonic_s(self) -> float:
        """See `Clock`."""
        return self._passed_ns / _NS_PER_S

    def wait(self, seconds: float) -> None:
        """See `Clock`."""
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass, for both clocks."""
        with self._lock:
            self._passed_ns += round(seconds * _NS_PER_S)
