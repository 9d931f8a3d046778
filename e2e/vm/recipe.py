"""What the images are made of, and the keys by which they are found again.

Two images, because a change of our locked packages must not compile the kernel module again.  The
system is Debian with OpenZFS; the environment is everything of ours but the working tree.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SUITE = "bookworm"
BACKPORTS = f"{SUITE}-backports"
COMPONENTS = "main contrib"
# The kernel and OpenZFS come from the backports: files/before-packages sees to it.
PACKAGES = (
    "dmsetup",
    "e2fsprogs",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "linux-headers-cloud-amd64",
    "linux-image-cloud-amd64",
    "mount",
    "openssh-server",
    "procps",
    "python3-pyzfs",
    "python3-venv",
    "udev",
    "util-linux",
    "xfsprogs",
    "zfs-dkms",
    "zfsutils-linux",
)
APT_OPTIONS = ('APT::Install-Recommends "false"',)
DPKG_OPTIONS = (
    "force-unsafe-io",
    "path-exclude=/usr/share/doc/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
)
# Images are sparse: a size is what a file system may grow to.
SYSTEM_SIZE = "8G"
ENVIRONMENT_SIZE = "2G"
# No journal: what a guest writes is thrown away with it.
MKFS = ("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=0")

# Of the wheels that the outside has, those that run in the guest.
PYTHON_VERSION = "3.11"
PLATFORMS = (
    "manylinux1_x86_64",
    "manylinux2010_x86_64",
    "manylinux2014_x86_64",
    *(f"manylinux_2_{minor}_x86_64" for minor in range(5, 37)),
)

FILES = Path(__file__).with_name("files")
SYSTEM_FILES = ("before-packages", "after-packages", "start")
ENVIRONMENT_FILES = ("build-environment", "init", "sshd_config")
LOCK = Path("requirements/dev.lock")
_KEY_LENGTH = 16


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of the two images that a checkout needs."""

    system: str
    environment: str


def keys_of(checkout: Path) -> Keys:
    """The keys of the images that this checkout needs."""
    system = digest(
        [
            *(repr(part) for part in (SUITE, COMPONENTS, PACKAGES, APT_OPTIONS, DPKG_OPTIONS)),
            *(repr(part) for part in (SYSTEM_SIZE, MKFS)),
            *_texts(SYSTEM_FILES),
        ]
    )
    environment = digest(
        [
            system,
            *(repr(part) for part in (ENVIRONMENT_SIZE, PYTHON_VERSION, PLATFORMS)),
            *_texts(ENVIRONMENT_FILES),
            (checkout / LOCK).read_text(encoding="utf-8"),
            installed_part((checkout / "pyproject.toml").read_text(encoding="utf-8")),
        ]
    )
    return Keys(system, environment)


def digest(parts: Iterable[str]) -> str:
    """A key that differs when any part, or their order, differs."""
    together = json.dumps(list(parts)).encode()
    return hashlib.sha256(together).hexdigest()[:_KEY_LENGTH]


def installed_part(pyproject: str) -> str:
    """What installing the project takes from `pyproject.toml`: no linter's settings."""
    tables = tomllib.loads(pyproject)
    setuptools = tables.get("tool", {}).get("setuptools", {})
    kept = [tables.get("build-system"), tables.get("project"), setuptools]
    return json.dumps(kept, sort_keys=True)


def _texts(names: Iterable[str]) -> list[str]:
    return [(FILES / name).read_text(encoding="utf-8") for name in names]
