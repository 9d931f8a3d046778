"""The base image that the Dockerfile asks for, made of Debian's packages instead of fetched.

Its apt reaches the archive as this machine's does.  That is lent to the build: the Dockerfile takes
no settings of apt into the image.
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from e2e.image import recipe
from e2e.image.context import DOCKERFILE
from e2e.vm.apt import Source, choose_mirror, load_settings, load_sources
from e2e.vm.cache import Kind
from e2e.vm.commands import ALONE, run_logged
from e2e.vm.progress import step

_LIMIT_S = 1800.0
# Where the package of that name puts it, in the base image.
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_HOOKS = "/usr/share/mmdebstrap/hooks/merged-usr"
_CONTAINERFILE = "FROM scratch\nADD base.tar /\n"


def ensure_base(cache: Path, key: str) -> Path:
    """A directory from which the base image can be built, made first where it is not there."""
    kind = Kind(cache, "base")
    finished = kind.path(key)
    kind.ensure(finished, lambda work: _build(work, kind.log))
    return finished


def archives(sources: Iterable[Source]) -> list[Source]:
    """The suites of the release that this machine's apt knows; the release's first one leads.

    Raises:
        NoMirrorError: apt knows no archive of Debian.
    """
    known = list(sources)
    return [replace(choose_mirror(known, recipe.SUITE), suites=(recipe.SUITE,)), *_later(known)]


def _later(sources: Iterable[Source]) -> Iterator[Source]:
    for source in sources:
        if recipe.COMPONENTS in source.components:
            for suite in source.suites:
                if suite in recipe.LATER_SUITES:
                    yield replace(source, suites=(suite,))


def sources_file(found: Iterable[Source]) -> str:
    """These archives as apt of the base image reads them."""
    return "\n".join(
        f"Types: deb\nURIs: {source.uri}\nSuites: {' '.join(source.suites)}\n"
        f"Components: {recipe.COMPONENTS}\nSigned-By: {_KEYRING}\n"
        for source in found
    )


def bootstrap(target: Path, found: Iterable[Source], *, settings: Path, sources: Path) -> list[str]:
    """The command that writes the base system as a tar archive."""
    copy = f"copy-in {shlex.quote(str(sources))} /etc/apt/sources.list.d"
    return [
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar"),
        f"--include={','.join(recipe.BASE_PACKAGES)}",
        f"--hook-dir={_HOOKS}",
        f"--aptopt={settings}",
        *(f"--dpkgopt={option}" for option in recipe.BASE_DPKG_OPTIONS),
        '--customize-hook=rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*',
        f"--customize-hook={copy}",
        *(recipe.SUITE, str(target)),
        *(source.line(source.suites[0], recipe.COMPONENTS) for source in found),
    ]


def _build(work: Path, log: Path) -> None:
    found = archives(load_sources())
    settings, sources = work / "apt.conf", work / "debian.sources"
    settings.write_text(load_settings(), encoding="utf-8")
    sources.write_text(sources_file(found), encoding="utf-8")
    command = bootstrap(work / "base.tar", found, settings=settings, sources=sources)
    with step("making the base image (about 1 minute)"):
        run_logged([*ALONE, *command], log, limit_s=_LIMIT_S)
    (work / DOCKERFILE).write_text(_CONTAINERFILE, encoding="utf-8")
    settings.unlink()
    sources.unlink()
