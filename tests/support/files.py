"""Real effects on a disk, and commands, that stop or fail at a chosen one of them.

The crash tests run an operation once undisturbed, to count its effects, and then once for each
effect and each side of it: the "process" dies there, which nothing catches, and a new one takes
over.
"""

import enum
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.system.files import Files
from csi_zfs.system.runner import CommandResult, Runner


class CrashError(BaseException):
    """The process is gone; from now on it has no more effects."""


class Stop(enum.Enum):
    """What happens at the chosen effect."""

    BEFORE = "crash before"
    AFTER = "crash after"
    FAULT = "fault instead of"


@dataclass(slots=True)
class Effects:
    """Counts effects, and stops at one of them.

    Attributes:
        stop_at: the number of that effect, counted from 0; None for an undisturbed run.
        fault: the errno of the `OSError` that is raised instead of the effect, for `Stop.FAULT`.
        done: each effect so far, as a word and the last part of its path.
        is_dead: the process has crashed.
    """

    stop_at: int | None = None
    stop: Stop = Stop.AFTER
    fault: int = 0
    done: list[str] = field(default_factory=list)
    is_dead: bool = False

    @property
    def was_reached(self) -> bool:
        """Whether the run came to the chosen effect."""
        return self.stop_at is not None and len(self.done) > self.stop_at

    @contextmanager
    def around(self, verb: str, what: str) -> Iterator[None]:
        """Do one effect in the block."""
        if self.is_dead:
            raise CrashError
        is_chosen = len(self.done) == self.stop_at
        self.done.append(f"{verb} {what}")
        if is_chosen and self.stop is Stop.FAULT:
            raise OSError(self.fault, os.strerror(self.fault), what)
        if is_chosen and self.stop is Stop.BEFORE:
            self._die()
        try:
            yield
        finally:
            # Behind an effect that failed too.
            if is_chosen and self.stop is Stop.AFTER:
                self._die()

    def _die(self) -> None:
        self.is_dead = True
        raise CrashError


class CrashingFiles(Files):
    """Real files whose effects are counted and can stop."""

    def __init__(self, effects: Effects) -> None:
        """Count in `effects`, which may be shared."""
        self._effects = effects

    def make_directory(self, path: Path) -> None:
        """See `Files`."""
        with self._effects.around("make_directory", path.name):
            super().make_directory(path)

    def create_sparse(self, path: Path, size_bytes: int) -> None:
        """See `Files`."""
        with self._effects.around("create_sparse", path.name):
            super().create_sparse(path, size_bytes)

    def create_clone(self, source: Path, path: Path, size_bytes: int) -> None:
        """See `Files`."""
        with self._effects.around("create_clone", path.name):
            super().create_clone(source, path, size_bytes)

    def resize(self, path: Path, size_bytes: int) -> None:
        """See `Files`."""
        with self._effects.around("resize", path.name):
            super().resize(path, size_bytes)

    def allocate(self, path: Path, size_bytes: int) -> None:
        """See `Files`."""
        with self._effects.around("allocate", path.name):
            super().allocate(path, size_bytes)

    def create(self, path: Path, data: bytes | bytearray | memoryview) -> None:
        """See `Files`."""
        with self._effects.around("create", path.name):
            super().create(path, data)

    def sync(self, path: Path) -> None:
        """See `Files`."""
        with self._effects.around("sync", path.name):
            super().sync(path)

    def rename(self, path: Path, new_path: Path) -> None:
        """See `Files`."""
        with self._effects.around("rename", new_path.name):
            super().rename(path, new_path)

    def rename_new(self, path: Path, new_path: Path) -> None:
        """See `Files`."""
        with self._effects.around("rename_new", new_path.name):
            super().rename_new(path, new_path)

    def link(self, path: Path, new_path: Path) -> None:
        """See `Files`."""
        with self._effects.around("link", new_path.name):
            super().link(path, new_path)

    def unlink(self, path: Path) -> None:
        """See `Files`."""
        with self._effects.around("unlink", path.name):
            super().unlink(path)

    def remove_directory(self, path: Path) -> None:
        """See `Files`."""
        with self._effects.around("remove_directory", path.name):
            super().remove_directory(path)


class CrashingRunner:
    """A `Runner` whose commands are counted and can stop, as effects; look-ups are none.

    How often a device is looked for depends on who else has it open.
    """

    def __init__(self, runner: Runner, effects: Effects) -> None:
        """Run by `runner`, count in `effects`, which may be shared."""
        self._runner = runner
        self._effects = effects

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout_s: float | None = None,
        expected: Sequence[int] = (0,),
    ) -> CommandResult:
        """See `Runner`."""
        if "--list" in argv and not self._effects.is_dead:
            return self._runner.run(argv, timeout_s=timeout_s, expected=expected)
        with self._effects.around("run", argv[0]):
            return self._runner.run(argv, timeout_s=timeout_s, expected=expected)
