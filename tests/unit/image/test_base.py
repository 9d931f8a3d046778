from dataclasses import replace
from pathlib import Path

import pytest

from e2e.image import base
from e2e.image.base import archives, bootstrap, lent_files, sources_file
from e2e.vm.apt import NoMirrorError, Source, parse_deb822

RELEASE = Source("http://mirror.example/debian", ("bookworm", "bookworm-updates"), ("main",), "/k")
SECURITY = Source("http://mirror.example/security", ("bookworm-security",), ("main",))
OTHERS = Source("http://other.example/apt", ("bookworm-updates",), ("tools",))


def suites_of(found: list[Source]) -> list[tuple[str, tuple[str, ...]]]:
    return [(source.uri, source.suites) for source in found]


def test_archives_are_the_release_and_what_came_later() -> None:
    assert suites_of(archives([SECURITY, OTHERS, RELEASE])) == [
        (RELEASE.uri, ("bookworm",)),
        (SECURITY.uri, ("bookworm-security",)),
        (RELEASE.uri, ("bookworm-updates",)),
    ]


def test_archive_of_another_release_has_this_one_too() -> None:
    trixie = Source("http://mirror.example/debian", ("trixie", "trixie-updates"), ("main",))
    assert suites_of(archives([trixie])) == [(trixie.uri, ("bookworm",))]


def test_without_an_archive_of_debian_there_is_no_base() -> None:
    with pytest.raises(NoMirrorError):
        archives([OTHERS])


def test_base_reads_the_sources_that_it_was_made_from() -> None:
    """The Dockerfile takes the backports from the first paragraph of this file."""
    found = archives([RELEASE, SECURITY])
    text = sources_file(found)
    assert suites_of(list(parse_deb822(text))) == suites_of(found)
    assert text.partition("\n\n")[0].splitlines()[:3] == [
        "Types: deb",
        f"URIs: {RELEASE.uri}",
        "Suites: bookworm",
    ]


def test_bootstrap_names_each_archive_with_the_key_of_this_machine() -> None:
    command = bootstrap(
        Path("base.tar"),
        archives([RELEASE, SECURITY]),
        settings=Path("apt.conf"),
        lent={Path("a b/debian.sources"): "/etc/apt/sources.list.d"},
    )
    assert command[-3:] == [
        "deb [signed-by=/k] http://mirror.example/debian bookworm main",
        "deb [signed-by=/k] http://mirror.example/debian bookworm-updates main",
        "deb http://mirror.example/security bookworm-security main",
    ]
    assert "--customize-hook=copy-in 'a b/debian.sources' /etc/apt/sources.list.d" in command


def test_base_has_the_sources_and_nothing_else_of_this_machine() -> None:
    assert lent_files([RELEASE, SECURITY]) == {
        "/etc/apt/sources.list.d": {"debian.sources": sources_file([RELEASE, SECURITY])}
    }


def test_base_trusts_an_archive_behind_tls_as_this_machine_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = tmp_path / "trusted.crt"
    certificates.write_text("certificates")
    monkeypatch.setattr(base, "_CERTIFICATES", certificates)
    files = lent_files([RELEASE, replace(SECURITY, uri="https://mirror.example/security")])
    assert files["/etc/apt"] == {"trusted.crt": "certificates"}
    assert list(files["/etc/apt/apt.conf.d"]) == ["99certificates"]
