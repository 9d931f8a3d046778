"""The head of a store's journal in a file of this machine: what shows an older copy of a store."""

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.cas.journal import Head
from csi_zfs.domain.errors import CorruptionError
from csi_zfs.system.files import Files
from csi_zfs.system.opening import opened
from csi_zfs.system.state_files import StateDirectory, StateDirectoryError

_KEY = "head"
_LOCK = ".head.lock"
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class HeadDamagedError(CorruptionError):
    """The file cannot be read as a head; without it an older copy of the store looks whole."""


class FileHead:
    """A `HeadMemory` in a directory of its own; several processes may share it."""

    def __init__(self, directory: Path, files: Files | None = None) -> None:
        """Use `directory`, making it where it is missing; raises `StateDirectoryError`."""
        self._directory = directory
        self._state = StateDirectory(directory, files or Files())

    def begin(self) -> bool:
        """Write down that nothing was seen yet, unless there is a memory; whether there was none.

        So a memory that gets lost later is missed.
        """
        with self._locked():
            is_missing = not (self._directory / f"{_KEY}.json").exists()
            if is_missing:
                self._write(Head())
        return is_missing

    def load(self) -> Head:
        """See `HeadMemory`.  Raises `HeadDamagedError`, `StateDirectoryError`."""
        for key, data in self._state.load():
            if key == _KEY:
                return self._parsed(data)
        return Head()

    def save(self, head: Head) -> None:
        """See `HeadMemory`; one that is not newer than what is there changes nothing."""
        with self._locked():
            # Another process of this machine may have seen more meanwhile.
            if self.load().number < head.number:
                self._write(head)

    def _write(self, head: Head) -> None:
        fields = {"number": head.number, "digest": head.digest}
        self._state.save(_KEY, json.dumps(fields).encode())

    def _parsed(self, data: bytes) -> Head:
        try:
            fields = json.loads(data)
            head = Head(int(fields["number"]), str(fields["digest"]))
        except (ValueError, TypeError, KeyError) as exc:
            raise self._damaged() from exc
        if head != Head() and (head.number < 1 or _DIGEST.fullmatch(head.digest) is None):
            raise self._damaged()
        return head

    def _damaged(self) -> HeadDamagedError:
        return HeadDamagedError(
            f"{self._directory / _KEY}.json is damaged: it remembers how far this machine saw the"
            " store go on, and without it nobody would notice an older copy. If the store is surely"
            " the right one, remove that file"
        )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with opened(self._directory / _LOCK, os.O_RDWR | os.O_CREAT) as descriptor:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                yield
        except OSError as exc:
            raise StateDirectoryError(
                f"the state directory {self._directory} cannot be used: {exc.strerror}"
            ) from exc
