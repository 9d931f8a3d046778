"""How mistakes in the settings are told: all of them at once, each with its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from csi_zfs.domain.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake.

    Attributes:
        where: the setting, such as `pools[0].size`, or the variable; empty for the file as a whole.
        line: the line of the file, from 1, where it is known.
        message: what is wrong and what would be right.
        source: the file, or "environment".
    """

    where: str
    line: int | None
    message: str
    source: str = "settings"

    def __str__(self) -> str:
        """`file:line: where: message`, without the parts that are not known."""
        place = self.source if self.line is None else f"{self.source}:{self.line}"
        return ": ".join(part for part in (place, self.where, self.message) if part)


class SettingsError(InvalidRequestError):
    """The settings have mistakes; the text has one line for each."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Keep the mistakes, in the order in which they were found."""
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)

    @classmethod
    def of_file(cls, source: str, message: str, *, line: int | None = None) -> Self:
        """The error for a file that cannot be read as a whole."""
        return cls([Problem("", line, message, source)])
