"""The table of steps, which grows while the demo runs."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.rule import Rule
from rich.table import Table

Say = Callable[[str], None]
_TITLE_WIDTH = 29
_TIME_WIDTH = 7


class StepTable:
    """Prints each step, what was done, and how long it took.

    Row by row, because a table that is redrawn would not fit into a small terminal.
    """

    def __init__(self, console: Console) -> None:
        """Print to this console, beginning with the head of the table."""
        self._console = console
        self.count = 0
        self._print("step", "what was done", "time", style="bold")
        console.print(Rule(style="dim"))

    @contextmanager
    def step(self, title: str) -> Iterator[Say]:
        """One row; the block calls what it is given with the words of the second column."""
        words: list[str] = []
        begin = time.perf_counter()
        try:
            with self._console.status(title):  # on a terminal, for as long as it takes
                yield words.append
        except BaseException:
            self._print(title, "; ".join([*words, "did not work"]), _since(begin), style="red")
            raise
        self._print(title, "; ".join(words), _since(begin))
        self.count += 1

    def _print(self, title: str, words: str, took: str, *, style: str = "") -> None:
        row = Table.grid(padding=(0, 2), expand=True)
        row.add_column(width=_TITLE_WIDTH, style=style or "cyan")
        row.add_column(ratio=1, overflow="fold", style=style)
        row.add_column(width=_TIME_WIDTH, justify="right", style=style or "dim")
        row.add_row(title, words, took)
        self._console.print(row)


def _since(begin: float) -> str:
    took_s = time.perf_counter() - begin
    return f"{took_s * 1000:.0f} ms" if took_s < 1 else f"{took_s:.1f} s"
