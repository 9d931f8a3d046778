"""The Debian mirror that this machine's own apt uses, so that none is written down here."""

import re
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from e2e.vm.errors import VmError

_SOURCES = Path("/etc/apt")
_RELEASES = ("bookworm", "trixie", "forky", "oldstable", "stable", "testing", "sid", "unstable")
_SCHEMES = ("http://", "https://", "file:")
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<words>.+)")
# What a machine needs to reach its mirror: proxies, certificates, patience.
_KEPT_SETTINGS = ("Acquire::http", "Acquire::https", "Acquire::Check-", "Acquire::Retries")


class NoMirrorError(VmError):
    """This machine's apt knows no archive of Debian."""


@dataclass(frozen=True, slots=True)
class Source:
    """An archive that apt knows."""

    uri: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    signed_by: str | None = None

    def line(self, suite: str, components: str) -> str:
        """The entry of another suite of the same archive."""
        options = f"[signed-by={self.signed_by}] " if self.signed_by else ""
        return f"deb {options}{self.uri} {suite} {components}"


def parse_one_line(text: str) -> Iterator[Source]:
    """The archives of a `*.list` file."""
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match is None:
            continue
        suite, *components = match["words"].split()
        options = dict(
            option.split("=", 1) for option in (match["options"] or "").split() if "=" in option
        )
        yield Source(match["uri"], (suite,), tuple(components), options.get("signed-by"))


def parse_deb822(text: str) -> Iterator[Source]:
    """The archives of a `*.sources` file."""
    for paragraph in re.split(r"\n[ \t]*\n", text):
        fields = _fields(paragraph)
        if "deb" not in fields.get("types", "").split() or fields.get("enabled") == "no":
            continue
        signed_by = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            yield Source(
                uri,
                tuple(fields.get("suites", "").split()),
                tuple(fields.get("components", "").split()),
                # A key that is written out in the file is no path that another apt could take.
                signed_by if signed_by.startswith("/") else None,
            )


def _fields(paragraph: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    name = ""
    for line in paragraph.splitlines():
        if line.startswith("#"):
            continue
        if line[:1] in {" ", "\t"} and name:
            fields[name] += f" {line.strip()}"
        elif ":" in line:
            name, _, value = line.partition(":")
            name = name.lower()
            fields[name] = value.strip()
    return fields


def choose_mirror(sources: Iterable[Source], suite: str) -> Source:
    """The archive that has this suite, or else one that has another release of Debian.

    Raises:
        NoMirrorError: there is neither.
    """
    usable = [
        source
        for source in sources
        if source.uri.startswith(_SCHEMES) and "main" in source.components
    ]
    for wanted in ((suite,), _RELEASES):
        for source in usable:
            if set(wanted) & set(source.suites):
                return source
    raise NoMirrorError("apt of this machine knows no archive of Debian (/etc/apt/sources.list*)")


def load_sources(directory: Path = _SOURCES) -> list[Source]:
    """Every archive that apt of this machine knows."""
    lists = [directory / "sources.list", *sorted((directory / "sources.list.d").glob("*.list"))]
    found = [
        source
        for path in lists
        if path.exists()
        for source in parse_one_line(path.read_text(encoding="utf-8"))
    ]
    for path in sorted((directory / "sources.list.d").glob("*.sources")):
        found += parse_deb822(path.read_text(encoding="utf-8"))
    return found


def kept_settings(dump: str) -> str:
    """Of what `apt-config dump` printed, the settings that reaching the mirror takes."""
    lines = [line for line in dump.splitlines() if line.startswith(_KEPT_SETTINGS)]
    return "".join(f"{line}\n" for line in lines)


def load_settings() -> str:
    """These settings of this machine, as a configuration file of apt."""
    dump = subprocess.run(["apt-config", "dump"], check=True, capture_output=True, text=True)
    return kept_settings(dump.stdout)
