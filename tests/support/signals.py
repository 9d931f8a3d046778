"""Cleaning up without being interrupted."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM)


def interrupt_once() -> None:
    """Raise `KeyboardInterrupt` in the main thread at the first Ctrl-C or SIGTERM from now on.

    One is enough: a second one must not interrupt the cleaning up.
    """
    for number in STOPPING:
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


@contextmanager
def undisturbed() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM for the length of a `with` block of the main thread.

    A mask would not do: the kernel gives a signal to any thread that takes it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in STOPPING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
