"""How far a long command is: a bar with rate and time left on a terminal, else a line at times."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer

from csi_zfs.domain.sizes import format_size
from csi_zfs.system.clock import Clock, SystemClock

# Without a terminal somebody reads it in a log.
_LINE_EVERY_S = 10.0

Advance = Callable[[int], None]


@contextmanager
def progress(words: str, total_bytes: int | None) -> Iterator[Advance]:
    """Show on standard error how many bytes are done; the block tells of each some of them."""
    if sys.stderr.isatty():
        with _bar(words, total_bytes) as advance:
            yield advance
    else:
        yield Lines(words, total_bytes, SystemClock(), _say).advance


class Lines:
    """Says every ten seconds how far it is."""

    def __init__(
        self, words: str, total_bytes: int | None, clock: Clock, say: Callable[[str], None]
    ) -> None:
        self._words = words
        self._total_bytes = total_bytes
        self._clock = clock
        self._say = say
        self._begin_s = self._said_s = clock.monotonic_s()
        self._done_bytes = 0

    def advance(self, count: int) -> None:
        """So many bytes more are done."""
        self._done_bytes += count
        now_s = self._clock.monotonic_s()
        if now_s - self._said_s >= _LINE_EVERY_S:
            self._said_s = now_s
            self._say(self._line(now_s - self._begin_s))

    def _line(self, passed_s: float) -> str:
        done, total = self._done_bytes, self._total_bytes
        rate = done / passed_s
        shown = f"{self._words}: {format_size(done)}, {format_size(round(rate))}/s"
        if not total or done > total or not rate:
            return shown
        left_s = round((total - done) / rate)
        return f"{shown}, {done * 100 // total} % of {format_size(total)}, {left_s} s left"


def tell(words: str) -> None:
    """Say what a long command is doing now."""
    _say(words)


def _say(words: str) -> None:
    typer.echo(words, err=True)


@contextmanager
def _bar(words: str, total_bytes: int | None) -> Iterator[Advance]:
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.DownloadColumn(binary_units=True),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    console = Console(stderr=True, markup=False, highlight=False, emoji=False)
    with bars.Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(words, total=total_bytes)
        yield lambda count: shown.advance(task, count)
