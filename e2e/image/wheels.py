"""The locked wheels, fetched out here as this machine's pip does, and lent to the build."""

import sys
from pathlib import Path

from e2e.image import recipe
from e2e.image.context import LOCKS
from e2e.vm.cache import Kind
from e2e.vm.commands import run_logged
from e2e.vm.progress import step
from e2e.vm.recipe import PYTHON_VERSION

_LIMIT_S = 1200.0
# Where pip finds its settings and the wheels while the image is built.
SETTINGS_IN_BUILD = "/etc/pip.conf"
WHEELS_IN_BUILD = "/mnt/wheels"
_SETTINGS = f"[global]\nno-index = true\nfind-links = {WHEELS_IN_BUILD}\n"


def ensure_wheels(context: Path, cache: Path, key: str) -> Path:
    """A directory with pip.conf and wheels/, fetched first where they are not there."""
    kind = Kind(cache, "wheels")
    finished = kind.path(key)
    kind.ensure(finished, lambda work: _fetch(context, work, kind.log))
    return finished


def lent(directory: Path) -> dict[Path, str]:
    """What of it the build sees, and where."""
    return {directory / "wheels": WHEELS_IN_BUILD, directory / "pip.conf": SETTINGS_IN_BUILD}


def download(target: Path, lock: Path) -> list[str]:
    """The command that fetches the wheels of a lock for the image's Python."""
    return [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--require-hashes", "--requirement", str(lock)),
        *("--only-binary=:all:", "--implementation=cp", f"--dest={target}"),
        f"--python-version={PYTHON_VERSION}",
        *(f"--platform={platform}" for platform in recipe.WHEEL_PLATFORMS),
    ]


def _fetch(context: Path, work: Path, log: Path) -> None:
    with step("fetching the locked wheels"):
        for lock in LOCKS:
            run_logged(download(work / "wheels", context / lock), log, limit_s=_LIMIT_S)
    (work / "pip.conf").write_text(_SETTINGS, encoding="utf-8")
