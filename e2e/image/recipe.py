"""What the image is made of here, and the keys by which it is found again.

The Dockerfile says what is in the image.  Here is only what a machine without a container engine
and without a registry needs besides: the base image, and the wheels.
"""

import platform
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.image.context import LOCKS
from e2e.vm.recipe import PLATFORMS, digest

SUITE = "bookworm"
# What a release gets after it came out lies in suites of their own, which the base image names too.
LATER_SUITES = (f"{SUITE}-updates", f"{SUITE}-security")
COMPONENTS = "main"
# The name by which the Dockerfile asks for it, in full.
BASE_IMAGE = "docker.io/library/debian:bookworm-slim"
BASE_PACKAGES = ("debian-archive-keyring", "usr-is-merged")
BASE_DPKG_OPTIONS = (
    *(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man")),
    "path-include=/usr/share/doc/*/copyright",
)

WHEEL_PLATFORMS = tuple(name.replace("x86_64", platform.machine()) for name in PLATFORMS)
# Files of an image have no times of their own, so that equal contents are equal images.
DEFAULT_EPOCH_S = 1767225600  # the first second of 2026


@dataclass(frozen=True, slots=True)
class Keys:
    """The names of what a build needs and makes, each built once."""

    base: str
    wheels: str
    layers: str
    image: str


def keys_of(context: Path, *, epoch_s: int = DEFAULT_EPOCH_S) -> Keys:
    """The keys of what the files of a build need."""
    suites = (SUITE, *LATER_SUITES, COMPONENTS)
    base = digest([BASE_IMAGE, *suites, *BASE_PACKAGES, *BASE_DPKG_OPTIONS])
    locks = ((context / name).read_text(encoding="utf-8") for name in LOCKS)
    wheels = digest([*WHEEL_PLATFORMS, *locks])
    # A layer that is kept has the time with which it was made.
    layers = digest([base, str(epoch_s)])
    return Keys(base, wheels, layers, digest([layers, wheels, *_contents(context)]))


def epoch(environ: Mapping[str, str]) -> int:
    """The time of all files, in seconds: what the environment asks for as other builders do."""
    return int(environ.get("SOURCE_DATE_EPOCH") or DEFAULT_EPOCH_S)


def image_name(pyproject: str) -> str:
    """The name and tag that the image is imported as."""
    return f"localhost/csi-zfs:{tomllib.loads(pyproject)['project']['version']}"


def _contents(context: Path) -> Iterator[str]:
    for path in sorted(path for path in context.rglob("*") if path.is_file()):
        yield f"{path.relative_to(context)}: {path.read_bytes()!r}"
