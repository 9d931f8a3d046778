"""Building the image, once per state of the checkout."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from e2e.image import recipe
from e2e.image.archive import Archive
from e2e.image.base import ensure_base
from e2e.image.builder import Builder
from e2e.image.context import staged
from e2e.image.errors import ImageError
from e2e.image.wheels import ensure_wheels, lent
from e2e.vm.cache import Kind, cache_directory, locked
from e2e.vm.progress import say, step
from tests.support.leftovers import remove_files

SBOM_IN_IMAGE = "usr/share/csi-zfs/sbom.cdx.json"
_SBOM = "sbom.cdx.json"
_STORE = "layers"


@dataclass(frozen=True, slots=True)
class BuiltImage:
    """A finished image: files that are never written again."""

    archive: Archive
    sbom: Path


def image_cache(environ: Mapping[str, str]) -> Path:
    """Where images are kept, outside of any checkout."""
    return cache_directory(environ).with_name("image")


def ensure_image(
    checkout: Path, cache: Path, *, epoch_s: int = recipe.DEFAULT_EPOCH_S
) -> BuiltImage:
    """The image of this checkout, built first where it is not in the cache.

    Raises:
        VmError: a build failed; nothing of it is left.
    """
    with staged(checkout) as context:
        return ensure_built(context, cache, epoch_s=epoch_s)


def ensure_built(
    context: Path, cache: Path, *, epoch_s: int = recipe.DEFAULT_EPOCH_S
) -> BuiltImage:
    """The image of these files, see `ensure_image`."""
    keys = recipe.keys_of(context, epoch_s=epoch_s)
    kind = Kind(cache, "image")
    finished = kind.path(keys.image)
    if not finished.exists() and os.geteuid() != 0:
        raise ImageError("building the image needs root; once it is built, using it does not")

    def build(work: Path) -> None:
        say(f"the log of this build is {kind.log}")
        base, wheels = ensure_base(cache, keys.base), ensure_wheels(context, cache, keys.wheels)
        with locked(cache / f"{_STORE}.lock", "another build of an image"):
            _remove_other_stores(cache, keys.layers)
            builder = Builder(_store(cache, keys.layers), work / "running", kind.log)
            builder.prepare(base)
            _build(builder, work, context=context, wheels=wheels, epoch_s=epoch_s)

    kind.ensure(finished, build)
    return load_image(finished)


def load_image(finished: Path) -> BuiltImage:
    """The image that a finished build has left.

    Raises:
        ImageError: there is none, or more than one.
    """
    archives = list(finished.glob("*.tar"))
    if len(archives) != 1:
        raise ImageError(f"{finished} has {len(archives)} images, not one")
    return BuiltImage(Archive(archives[0]), finished / _SBOM)


def _build(builder: Builder, work: Path, *, context: Path, wheels: Path, epoch_s: int) -> None:
    name = recipe.image_name((context / "pyproject.toml").read_text(encoding="utf-8"))
    with step("building the image (about 2 minutes; seconds where only the driver changed)"):
        builder.build(context, name, lent=lent(wheels), epoch_s=epoch_s)
    with step("writing the archive"):
        unnamed = Archive(work / "image")
        builder.export(name, unnamed.path)
        (work / _SBOM).write_bytes(unnamed.read(SBOM_IN_IMAGE))
        hex_digest = unnamed.digest.partition(":")[2]
        unnamed.path.rename(work / f"csi-zfs-{hex_digest[:16]}.tar")
    remove_files(builder.running)


def _store(cache: Path, key: str) -> Path:
    return cache / f"{_STORE}-{key}"


def _remove_other_stores(cache: Path, key: str) -> None:
    for path in cache.glob(f"{_STORE}-*"):
        if path != _store(cache, key):
            remove_files(path)
