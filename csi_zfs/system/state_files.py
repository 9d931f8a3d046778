"""A directory of small documents, each written durably and read back whole."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from csi_zfs.domain.errors import UnavailableError
from csi_zfs.system.files import Files, remove_if_there, write_durably

_SUFFIX = ".json"


class StateDirectoryError(UnavailableError):
    """The directory cannot be used: full, read-only, gone."""


class StateDirectory:
    """Documents by key; a key is a file name that does not begin with a dot.

    Thread-safe for different keys.
    """

    def __init__(self, directory: Path, files: Files) -> None:
        """Use `directory`, making it where it is missing; raises `StateDirectoryError`."""
        with _translating(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._files = files

    def load(self) -> Iterator[tuple[str, bytes]]:
        """All documents; a temporary file that a crash left is not one."""
        with _translating(self._directory):
            for path in sorted(self._directory.glob(f"[!.]*{_SUFFIX}")):
                yield path.name.removesuffix(_SUFFIX), path.read_bytes()

    def save(self, key: str, data: bytes) -> None:
        """Write or replace one; durable when this returns; raises `StateDirectoryError`."""
        with _translating(self._directory):
            write_durably(self._files, self._path(key), data)

    def remove(self, key: str) -> None:
        """Remove one; a missing one is no error; raises `StateDirectoryError`."""
        with _translating(self._directory):
            remove_if_there(self._files.unlink, self._path(key))

    def _path(self, key: str) -> Path:
        return self._directory / f"{key}{_SUFFIX}"


@contextmanager
def _translating(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        msg = f"the state directory {directory} cannot be used: {exc.strerror}"
        raise StateDirectoryError(msg) from exc
