"""Holding one call at an effect while another call runs."""

import threading

LIMIT_S = 20.0


class Pause:
    """Effects that hold a call at one of them, until it may go on.

    Not for a `FakeMounter`, which holds a lock meanwhile.
    """

    def __init__(self, number: int) -> None:
        self._left = number
        self._may_go_on = threading.Event()
        self._is_settled = threading.Event()

    def __call__(self, _point: str) -> None:
        self._left -= 1
        if self._left == 0 and not self._is_settled.is_set():
            self._is_settled.set()
            assert self._may_go_on.wait(LIMIT_S)

    def settle(self) -> None:
        """Hold nothing any more: the call has ended."""
        self._is_settled.set()

    def await_settled(self) -> None:
        """Wait until the call is held, or has ended."""
        assert self._is_settled.wait(LIMIT_S)

    def go_on(self) -> None:
        """Let it go on."""
        self._may_go_on.set()
