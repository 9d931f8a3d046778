"""buildah: builds a Dockerfile in a chroot, and keeps the layers that it has made.

Layers that nothing changed are taken from the store, so that a change of the driver alone makes
only the last one.  Nothing of the store is precious: it is begun anew when it has grown.
"""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.image import recipe
from e2e.vm.commands import ALONE, run_logged, search_environment
from e2e.vm.progress import say, step
from tests.support.leftovers import remove_files

_ISOLATED = ("--isolation", "chroot")
_BUILD_LIMIT_S = 3600.0
_QUERY_LIMIT_S = 60.0
# A change of the driver leaves steps of 15 MB behind, one of the Dockerfile up to 1 GB.
_FULL_BYTES = 8 << 30
# An overlay cannot lie on another one, as in a container.
_COPYING_FILESYSTEMS = ("overlay", "")


@dataclass(frozen=True, slots=True)
class Builder:
    """A store of layers; `running` is a directory for one run, of which nothing is kept."""

    store: Path
    running: Path
    log: Path

    def prepare(self, base: Path) -> None:
        """See to it that the base image is in the store."""
        if self.store.exists() and self._size_bytes() > _FULL_BYTES:
            say("the store of layers has grown: beginning a new one")
            remove_files(self.store)
        self.store.mkdir(parents=True, exist_ok=True)
        if not self._has(recipe.BASE_IMAGE):
            with step("loading the base image"):
                self._run("build", *_ISOLATED, "--quiet", "--tag", recipe.BASE_IMAGE, str(base))

    def build(self, context: Path, name: str, *, lent: Mapping[Path, str], epoch_s: int) -> None:
        """Build the Dockerfile of a context; what is lent is mounted read-only."""
        volumes = [f"--volume={source}:{target}:ro" for source, target in lent.items()]
        self._run(
            *("build", *_ISOLATED, "--layers", "--pull-never", "--identity-label=false"),
            *(f"--timestamp={epoch_s}", *volumes, "--tag", name, str(context)),
        )

    def export(self, name: str, archive: Path) -> None:
        """Write an image as an OCI archive."""
        self._run("push", "--quiet", name, f"oci-archive:{archive}:{name}")

    def _run(self, *words: str) -> None:
        # What buildah drops when it is killed goes with the directory of the run.
        self.running.mkdir(exist_ok=True)
        run_logged(
            [*ALONE, *self._words(words)],
            self.log,
            limit_s=_BUILD_LIMIT_S,
            environment={"TMPDIR": str(self.running)},
        )

    def _has(self, name: str) -> bool:
        return self._ask("inspect", "--type", "image", name).returncode == 0

    def _size_bytes(self) -> int:
        command = ["du", "--summarize", "--block-size=1", str(self.store)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return int(done.stdout.split()[0])

    def _ask(self, *words: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*ALONE, *self._words(words)],
            check=False,
            env=search_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_QUERY_LIMIT_S,
        )

    def _words(self, words: Sequence[str]) -> list[str]:
        where = ["--root", str(self.store), "--runroot", str(self.running)]
        return ["buildah", *where, "--storage-driver", storage_driver(self.store), *words]


def storage_driver(store: Path) -> str:
    """The way layers lie on each other: copies where the file system below carries nothing else."""
    command = ["findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(store)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return "vfs" if done.stdout.strip() in _COPYING_FILESYSTEMS else "overlay"
