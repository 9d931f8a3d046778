"""The directories that are built once and kept: found by key, built whole or not at all.

Layout: `<cache>/<kind>-<key>` holds a finished build, `<cache>/<kind>-<key>.building` one that is
being made or that was killed, `<cache>/<kind>.log` what the last build said.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from e2e.vm.progress import say
from tests.support.leftovers import remove_files

KEPT = 2
_BUILDING = ".building"


def cache_directory(environ: Mapping[str, str]) -> Path:
    """Where everything of the virtual machine is kept, outside of any checkout."""
    if own := environ.get("CSI_ZFS_CACHE"):
        return Path(own).resolve() / "vm"
    base = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base.resolve() / "csi-zfs" / "vm"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of build; different keys of it are different directories."""

    cache: Path
    name: str

    @property
    def log(self) -> Path:
        """What the commands of the last build said."""
        return self.cache / f"{self.name}.log"

    def path(self, key: str) -> Path:
        """Where the finished build of a key is."""
        return self.cache / f"{self.name}-{key}"

    def ensure(self, finished: Path, build: Callable[[Path], None]) -> None:
        """Make a build that `path` named, if there is none yet; the oldest others go.

        `build` gets an empty directory.  Two at once build once; a killed build is begun again.
        """
        self.cache.mkdir(parents=True, exist_ok=True)
        with locked(self.cache / f"{self.name}.lock", f"another build of {self.name}"):
            if not finished.exists():
                self._build(finished, build)
            os.utime(finished)
            for old in outdated(self._finished()):
                say(f"removing {old.name}: not used for the longest time")
                remove_files(old)

    def _build(self, finished: Path, build: Callable[[Path], None]) -> None:
        for killed in self._found():
            if killed.suffix == _BUILDING:
                remove_files(killed)
        self.log.unlink(missing_ok=True)
        unfinished = finished.with_name(finished.name + _BUILDING)
        unfinished.mkdir()
        try:
            build(unfinished)
        except BaseException:
            remove_files(unfinished)
            raise
        os.sync()
        unfinished.rename(finished)

    def _finished(self) -> list[Path]:
        return [path for path in self._found() if path.suffix != _BUILDING]

    def _found(self) -> Iterator[Path]:
        """The builds of this kind, and of no other one whose name begins alike: keys have no -."""
        for path in self.cache.glob(f"{self.name}-*"):
            if path.is_dir() and "-" not in path.name.removeprefix(f"{self.name}-"):
                yield path


def outdated(builds: list[Path]) -> list[Path]:
    """All but the builds that were used last."""
    newest_first = sorted(builds, key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return newest_first[KEPT:]


@contextmanager
def locked(path: Path, holder: str) -> Iterator[None]:
    """Hold a lock file; says for whom it waits.  The kernel lets go of it when a process dies."""
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"waiting for {holder}")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
