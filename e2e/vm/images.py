"""Building the two images of the guest, each once per key."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.vm import recipe
from e2e.vm.apt import choose_mirror, load_settings, load_sources
from e2e.vm.cache import Kind
from e2e.vm.commands import ALONE, run_logged
from e2e.vm.errors import VmError
from e2e.vm.progress import say, step
from e2e.vm.tree import copy_tree
from tests.support.leftovers import remove_files

_SYSTEM_LIMIT_S = 3600.0
_ENVIRONMENT_LIMIT_S = 1200.0


@dataclass(frozen=True, slots=True)
class Images:
    """The finished images: files that are never written again."""

    system: Path
    environment: Path

    @property
    def root(self) -> Path:
        """The root file system."""
        return self.system / "root.img"

    @property
    def kernel(self) -> Path:
        """The kernel."""
        return self.system / "vmlinuz"

    @property
    def initial_ram_disk(self) -> Path:
        """The drivers with which the kernel finds its root."""
        return self.system / "initrd.img"

    @property
    def second(self) -> Path:
        """The file system with everything of ours."""
        return self.environment / "environment.img"


def wanted_images(checkout: Path, cache: Path) -> Images:
    """Where the images for this checkout are, or will be when they are built."""
    keys = recipe.keys_of(checkout)
    system, environment = Kind(cache, "system"), Kind(cache, "environment")
    return Images(system.path(keys.system), environment.path(keys.environment))


def ensure_images(checkout: Path, cache: Path) -> Images:
    """The images for this checkout, built first where they are not in the cache.

    Raises:
        VmError: a build failed; nothing of it is left.
    """
    wanted = wanted_images(checkout, cache)
    if not (wanted.system.exists() and wanted.environment.exists()) and os.geteuid() != 0:
        raise VmError("building the images needs root; once they are built, running does not")
    system, environment = Kind(cache, "system"), Kind(cache, "environment")
    system.ensure(wanted.system, lambda work: build_system(work, system.log))
    environment.ensure(
        wanted.environment,
        lambda work: build_environment(work, environment.log, checkout=checkout, images=wanted),
    )
    return wanted


def build_system(work: Path, log: Path) -> None:
    """Debian with the kernel of the backports and OpenZFS, whose module is compiled natively."""
    root, settings = work / "root", work / "apt.conf"
    settings.write_text(load_settings(), encoding="utf-8")
    say(f"the log of this build is {log}")
    with step("installing Debian and compiling OpenZFS (about 5 minutes)"):
        run_logged([*ALONE, *bootstrap(root, settings)], log, limit_s=_SYSTEM_LIMIT_S)
    with step("making the system image"):
        _only(root / "boot", "vmlinuz-*").rename(work / "vmlinuz")
        _only(root / "boot", "initrd.img-*").rename(work / "initrd.img")
        _make_image(root, work / "root.img", recipe.SYSTEM_SIZE, log)
    remove_files(root)
    settings.unlink()


def bootstrap(root: Path, settings: Path) -> list[str]:
    """The command that installs the system below `root`."""
    mirror = choose_mirror(load_sources(), recipe.SUITE)
    return [
        *("mmdebstrap", "--mode=root", "--variant=apt", "--format=directory"),
        f"--include={','.join(recipe.PACKAGES)}",
        f"--aptopt={settings}",
        *(f"--aptopt={option}" for option in recipe.APT_OPTIONS),
        *(f"--dpkgopt={option}" for option in recipe.DPKG_OPTIONS),
        f"--essential-hook={recipe.FILES / 'before-packages'}",
        f"--customize-hook={recipe.FILES / 'after-packages'}",
        *(recipe.SUITE, str(root)),
        *(mirror.line(suite, recipe.COMPONENTS) for suite in (recipe.SUITE, recipe.BACKPORTS)),
    ]


def build_environment(work: Path, log: Path, *, checkout: Path, images: Images) -> None:
    """The locked packages and the project, installed natively in a chroot of the system image."""
    wheels = work / "wheels"
    with step("fetching the locked wheels"):
        run_logged(download(wheels, checkout), log, limit_s=_ENVIRONMENT_LIMIT_S)
    with step("installing them for the guest"):
        copy_tree(checkout, work / "tree")
        build = [*ALONE, str(recipe.FILES / "build-environment"), str(images.root), str(work)]
        run_logged(build, log, limit_s=_ENVIRONMENT_LIMIT_S)
        _make_image(work / "contents", work / "environment.img", recipe.ENVIRONMENT_SIZE, log)
    for name in ("wheels", "tree", "contents", "root"):
        remove_files(work / name)


def download(wheels: Path, checkout: Path) -> Sequence[str]:
    """The command that fetches the wheels of the lock for the guest's Python."""
    return [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"),
        *("--require-hashes", "--requirement", str(checkout / recipe.LOCK)),
        *("--only-binary=:all:", "--implementation=cp", f"--dest={wheels}"),
        f"--python-version={recipe.PYTHON_VERSION}",
        *(f"--platform={platform}" for platform in recipe.PLATFORMS),
    ]


def _make_image(contents: Path, image: Path, size: str, log: Path) -> None:
    command = [*recipe.MKFS, "-d", str(contents), str(image), size]
    run_logged(command, log, limit_s=_ENVIRONMENT_LIMIT_S)


def _only(directory: Path, pattern: str) -> Path:
    found = list(directory.glob(pattern))
    if len(found) != 1:
        raise VmError(f"{directory} has {len(found)} files {pattern}, not one")
    return found[0]
