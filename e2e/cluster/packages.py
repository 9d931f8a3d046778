"""Debian packages, unpacked into the cache: what they hold is used, nothing is installed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.versions import PACKAGES
from e2e.vm.cache import Kind
from e2e.vm.commands import CommandFailedError, run_logged
from e2e.vm.progress import step
from e2e.vm.recipe import digest

_LIMIT_S = 600.0
_KIND = "packages"


@dataclass(frozen=True, slots=True)
class Unpacked:
    """A directory with what the packages would have put below /."""

    root: Path

    @property
    def busybox(self) -> Path:
        """A shell and small programs in one file without libraries."""
        return self.root / "bin" / "busybox"


def ensure_packages(cache: Path, packages: Sequence[str] = PACKAGES) -> Unpacked:
    """The packages, fetched by this machine's own apt and unpacked where they are not yet."""
    kind = Kind(cache, _KIND)
    finished = kind.path(digest(packages))
    kind.ensure(finished, lambda work: _unpack(packages, work, kind.log))
    return Unpacked(finished / "root")


def _unpack(packages: Sequence[str], work: Path, log: Path) -> None:
    with step("unpacking Debian packages"):
        archives = work / "archives"
        archives.mkdir()
        try:
            _download(packages, archives, log)
        except CommandFailedError:
            # A fresh machine has no package lists, an old one has stale ones.
            run_logged(["apt-get", "update", "--quiet"], log, limit_s=_LIMIT_S)
            _download(packages, archives, log)
        for archive in sorted(archives.glob("*.deb")):
            run_logged(["dpkg", "-x", str(archive), str(work / "root")], log, limit_s=_LIMIT_S)
            archive.unlink()
        archives.rmdir()


def _download(packages: Sequence[str], archives: Path, log: Path) -> None:
    fetch = ["sh", "-c", 'cd "$1" && shift && exec apt-get download --quiet "$@"', "sh"]
    run_logged([*fetch, str(archives), *packages], log, limit_s=_LIMIT_S)
