"""The points at which a process can end: before, in and after each of its effects."""

from dataclasses import dataclass, field

from tests.support.files import CrashError


@dataclass(slots=True)
class CrashPoints:
    """The `effects` of a node: notes every point, and ends the process at one of them.

    `crash_at` is the number of that point, counted from 0, or its name.  A dead
    process has no more effects: not those of its `finally` blocks either.
    """

    crash_at: int | str | None = None
    passed: list[str] = field(default_factory=list)
    is_dead: bool = False

    def __call__(self, point: str) -> None:
        """Pass a point."""
        if self.is_dead:
            raise CrashError(point)
        self.passed.append(point)
        if self.crash_at in (point, len(self.passed) - 1):
            self.is_dead = True
            raise CrashError(point)
