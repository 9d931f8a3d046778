"""The table of steps, which grows while the demo runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

Say = Callable[[str], None]


class StepTable:
    """Prints each step, what was done, and how long it took.

    On a terminal the table grows as it goes on; elsewhere it is printed once, at the end.
    """

    def __init__(self, console: Console) -> None:
        """Print to this console, between the begin and the end of a `with` block."""
        self._table = Table(header_style="bold", expand=False, row_styles=("", "dim"))
        self._table.add_column("step", no_wrap=True)
        self._table.add_column("what was done", overflow="fold")
        self._table.add_column("time", justify="right", no_wrap=True)
        self._console = console
        self._live = Live(self._table, console=console, refresh_per_second=8)
        self.count = 0

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()
        if not self._console.is_terminal:
            self._console.print()  # where it cannot move the cursor, rich leaves the line open

    @contextmanager
    def step(self, title: str) -> Iterator[Say]:
        """One row; the block calls what it is given with the words of the second column."""
        words: list[str] = []
        begin = time.perf_counter()
        try:
            yield words.append
        except BaseException:
            self._add(f"[red]{title}[/red]", [*words, "[red]did not work[/red]"], begin)
            raise
        self._add(title, words, begin)
        self.count += 1

    def _add(self, title: str, words: list[str], begin: float) -> None:
        took_s = time.perf_counter() - begin
        took = f"{took_s * 1000:.0f} ms" if took_s < 1 else f"{took_s:.1f} s"
        self._table.add_row(title, "; ".join(words), took)
