"""Lines that tell what is being done and how long it took."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


def say(words: str) -> None:
    """Print a line at once, also into a pipe."""
    print(f"e2e: {words}", flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """Print what begins, and what it took when it ended well."""
    say(f"{title} ...")
    begin = time.monotonic()
    yield
    say(f"{title}: {time.monotonic() - begin:.1f} s")
