from pathlib import Path

import pytest

from e2e.vm.apt import (
    NoMirrorError,
    Source,
    choose_mirror,
    kept_settings,
    load_sources,
    parse_deb822,
    parse_one_line,
)

DEBIAN = Source("http://mirror.example/debian", ("bookworm", "bookworm-updates"), ("main",))
DEB822 = """\
# The release
Types: deb deb-src
URIs: http://mirror.example/debian
# a comment in the middle
Suites: bookworm
 bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://other.example/x
Suites: stable
Components: main
Enabled: no

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""


def test_deb822_gives_the_archives_that_are_enabled() -> None:
    (source,) = parse_deb822(DEB822)
    assert source == Source(
        "http://mirror.example/debian",
        ("bookworm", "bookworm-updates"),
        ("main",),
        "/usr/share/keyrings/debian-archive-keyring.gpg",
    )


def test_deb822_with_two_addresses_gives_two_archives() -> None:
    text = "Types: deb\nURIs: http://a.example http://b.example\nSuites: sid\nComponents: main\n"
    assert [source.uri for source in parse_deb822(text)] == ["http://a.example", "http://b.example"]


def test_deb822_with_a_key_that_is_written_out_names_no_key() -> None:
    key = "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mDMEYCQjIxYJ\n"
    text = f"Types: deb\nURIs: http://a.example\nSuites: sid\nComponents: main\n{key}"
    (source,) = parse_deb822(text)
    assert source.signed_by is None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://a.example sid main contrib # words", ("sid", ("main", "contrib"), None)),
        (
            "deb [arch=amd64 signed-by=/k.gpg] http://a.example sid main",
            ("sid", ("main",), "/k.gpg"),
        ),
        ("deb [trusted=yes] http://a.example ./", ("./", (), None)),
    ],
)
def test_one_line_gives_the_archive(
    line: str, expected: tuple[str, tuple[str, ...], str | None]
) -> None:
    (source,) = parse_one_line(f"# head\n\n{line}\n")
    assert (source.uri, (*source.suites, source.components, source.signed_by)) == (
        "http://a.example",
        expected,
    )


@pytest.mark.parametrize(
    "line", ["", "# deb http://a.example sid main", "deb-src http://a sid main"]
)
def test_one_line_without_an_archive_gives_none(line: str) -> None:
    assert list(parse_one_line(line)) == []


def test_mirror_with_the_suite_goes_before_one_with_another_release() -> None:
    newer = Source("http://newer.example/debian", ("trixie",), ("main",))
    assert choose_mirror([newer, DEBIAN], "bookworm") == DEBIAN
    assert choose_mirror([newer], "bookworm") == newer


@pytest.mark.parametrize(
    "source",
    [
        Source("http://security.example", ("bookworm-security",), ("main",)),
        Source("http://tools.example", ("bookworm",), ("tools",)),
        Source("cdrom:[Debian]", ("bookworm",), ("main",)),
    ],
)
def test_mirror_that_is_no_archive_of_debian_is_not_taken(source: Source) -> None:
    with pytest.raises(NoMirrorError, match="knows no archive"):
        choose_mirror([source], "bookworm")


def test_line_of_another_suite_keeps_the_key() -> None:
    assert DEBIAN.line("sid", "main contrib") == "deb http://mirror.example/debian sid main contrib"
    signed = Source("http://a.example", ("sid",), ("main",), "/k.gpg")
    assert signed.line("sid", "main") == "deb [signed-by=/k.gpg] http://a.example sid main"


def test_sources_of_both_formats_are_read(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text("deb http://one.example sid main\n")
    (tmp_path / "sources.list.d" / "two.list").write_text("deb http://two.example sid main\n")
    (tmp_path / "sources.list.d" / "three.sources").write_text(DEB822)
    (tmp_path / "sources.list.d" / "four.save").write_text("deb http://four.example sid main\n")
    assert [source.uri for source in load_sources(tmp_path)] == [
        "http://one.example",
        "http://two.example",
        "http://mirror.example/debian",
    ]


def test_settings_that_reach_the_mirror_are_kept_and_no_others() -> None:
    proxy = 'Acquire::http::Proxy "http://proxy.example:3128";\n'
    dump = f'APT::Architecture "amd64";\n{proxy}Acquire::Languages "none";\nDir::Cache "/x";\n'
    assert kept_settings(dump) == proxy
