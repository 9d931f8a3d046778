"""The base image that the Dockerfile asks for, made of Debian's packages instead of fetched.

Its apt reaches the archive as this machine's does.  That is lent to the build: the Dockerfile takes
no settings of apt into the image.
"""

import shlex
from collections.abc import Iterable, Iterator, Mapping
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
# Where this machine's own apt finds whom to trust, and where that of the base image does.
_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_TRUST = f'Acquire::https::CAInfo "/etc/apt/{_CERTIFICATES.name}";\n'
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


def lent_files(found: Iterable[Source]) -> dict[str, dict[str, str]]:
    """What apt of the base image has besides: texts by their directory and name."""
    archive = list(found)
    files = {"/etc/apt/sources.list.d": {"debian.sources": sources_file(archive)}}
    if any(source.uri.startswith("https:") for source in archive):
        files["/etc/apt"] = {_CERTIFICATES.name: _CERTIFICATES.read_text(encoding="utf-8")}
        files["/etc/apt/apt.conf.d"] = {"99certificates": _TRUST}
    return files


def bootstrap(
    target: Path, found: Iterable[Source], *, settings: Path, lent: Mapping[Path, str]
) -> list[str]:
    """The command that writes the base system as a tar archive; `lent` says what goes where."""
    return [
        *("mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar"),
        f"--include={','.join(recipe.BASE_PACKAGES)}",
        f"--hook-dir={_HOOKS}",
        f"--aptopt={settings}",
        *(f"--dpkgopt={option}" for option in recipe.BASE_DPKG_OPTIONS),
        '--customize-hook=rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/*',
        *(
            f"--customize-hook=copy-in {shlex.quote(str(file))} {directory}"
            for file, directory in lent.items()
        ),
        *(recipe.SUITE, str(target)),
        *(source.line(source.suites[0], recipe.COMPONENTS) for source in found),
    ]


def _build(work: Path, log: Path) -> None:
    found = archives(load_sources())
    settings = work / "apt.conf"
    settings.write_text(load_settings(), encoding="utf-8")
    lent = {}
    for directory, files in lent_files(found).items():
        for name, text in files.items():
            (work / name).write_text(text, encoding="utf-8")
            lent[work / name] = directory
    command = bootstrap(work / "base.tar", found, settings=settings, lent=lent)
    with step("making the base image (about 1 minute)"):
        run_logged([*ALONE, *command], log, limit_s=_LIMIT_S)
    (work / DOCKERFILE).write_text(_CONTAINERFILE, encoding="utf-8")
    for file in (settings, *lent):
        file.unlink()
