"""What is no settings file is refused with the line, and never by another error."""

import contextlib
import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.settings import POOL_TABLE, SETTINGS_TABLE, SettingsError, load_settings
from csi_zfs.settings.files import MAX_FILE_BYTES
from tests.unit.settings.support import problems_of, write

KEYS = [spec.key for spec in (*SETTINGS_TABLE, *POOL_TABLE)]
ODD_KEYS = st.sampled_from(["pools", "driver_nam", *KEYS]) | st.text(max_size=8)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.dates()
    | st.text(max_size=20)
    | st.sampled_from(["/srv/fast", "fast", "10Gi", "unix:///run/csi.sock", "localhost:80", "json"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ODD_KEYS, inner, max_size=5),
    max_leaves=5,
)
TOKENS = "[[pools]] [pools name = : - { } # \" ''' &a *a !!int 0x 1e9 .inf ~ << ? --- %YAML \\U"
PIECES = st.lists(
    st.sampled_from([*TOKENS.split(), "\n", " ", "\t"]) | st.text(max_size=4), max_size=30
).map("".join)


def load(data: bytes, suffix: str) -> None:
    """Load settings or find mistakes: nothing else may happen."""
    with tempfile.TemporaryDirectory() as directory, contextlib.suppress(SettingsError):
        load_settings(write(Path(directory), data, suffix), {})


@pytest.mark.property
@given(st.dictionaries(ODD_KEYS, VALUES, max_size=4))
def test_load_settings_of_random_values_raises_settings_errors_only(
    values: dict[str, object],
) -> None:
    load(json.dumps(values, default=str).encode(), "yaml")


@pytest.mark.property
@given(st.lists(st.dictionaries(ODD_KEYS, SCALARS, max_size=5), max_size=2))
def test_load_settings_of_random_pools_raises_settings_errors_only(
    pools: list[dict[str, object]],
) -> None:
    load(json.dumps({"pools": pools}, default=str).encode(), "yaml")


@pytest.mark.property
@given(PIECES.map(str.encode) | st.binary(max_size=60), st.sampled_from(["toml", "yaml", "yml"]))
def test_load_settings_of_random_text_raises_settings_errors_only(data: bytes, suffix: str) -> None:
    load(data, suffix)


@pytest.mark.property
@given(st.dictionaries(st.sampled_from([s.variable for s in SETTINGS_TABLE]), st.text()))
def test_load_settings_of_random_variables_raises_settings_errors_only(
    environ: dict[str, str],
) -> None:
    with pytest.raises(SettingsError):
        load_settings(None, environ)


@pytest.mark.parametrize(
    ("suffix", "text", "line", "words"),
    [
        ("toml", "a = 1\nb = \n", None, "line 2"),
        ("toml", "a = 1\na = 2\n", None, "overwrite"),
        ("toml", "a = " + "9" * 5000, None, "digits"),
        ("toml", "a = " + "[" * 1000, None, "nested too deeply"),
        ("yaml", "a: 1\nb: [\n", 3, "flow"),
        ("yaml", "a: 1\n\nb: 2\na: 3\n", 4, "'a' is given twice"),
        ("yaml", "pools:\n- name: x\n  name: y\n", 3, "'name' is given twice"),
        ("yaml", "a: &x [1]\nb: *x\n", 2, "aliases"),
        ("yaml", "a: &x [*x]\n", 1, "aliases"),
        ("yaml", "a: 1\n2: 1\n", 2, "a name must be text"),
        ("yaml", "? !!str [a]\n: 1\n", 1, "a name must be text"),
        ("yaml", "a: 1\nb: !!python/name:os.system\n", 2, "write plain"),
        ("yaml", "node_id: no\n", 1, "text in quotes"),
        ("yaml", "a: 2024-01-01\n", 1, "text in quotes"),
        ("yaml", "a: " + "9" * 5000, 1, "write plain"),
        ("yaml", 'a: "\\UFFFFFFFF"\n', None, "is not YAML"),
        ("yaml", "a: 1\nb: \x07\n", 2, "special characters"),
        ("yaml", "a: 1\n---\nb: 1\n", 2, "single document"),
        ("yaml", "a: " + "[" * 1000, None, "nested too deeply"),
        ("yaml", "- a\n", None, "must hold settings by name"),
    ],
)
def test_load_settings_of_a_broken_file_tells_the_line(  # noqa: PLR0917 - the columns above
    tmp_path: Path, suffix: str, text: str, line: int | None, words: str
) -> None:
    """The parser of TOML tells the line in its words only."""
    (problem,) = problems_of(write(tmp_path, text, suffix))

    assert problem.line == line
    assert problem.where == ""
    assert words in problem.message


def test_load_settings_of_an_empty_yaml_file_misses_the_pools(tmp_path: Path) -> None:
    assert [problem.where for problem in problems_of(write(tmp_path, "", "yaml"))] == ["pools"]


def test_load_settings_of_text_in_another_encoding_tells_the_line(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path, b"# ok\n# \xff\n"))

    assert (problem.line, problem.message) == (2, "is not UTF-8 text")


def test_load_settings_of_a_missing_file_says_so(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path / "none.toml")

    assert str(problem) == f"{tmp_path}/none.toml: cannot be read: {os.strerror(2)}"


def test_load_settings_of_an_unknown_suffix_names_the_known(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path, "{}", "json"))

    assert problem.message == "its name must end in .toml, .yaml, .yml"


def test_load_settings_of_an_endless_file_reads_a_bounded_part() -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "config.toml")
        path.symlink_to("/dev/zero")
        (problem,) = problems_of(path)

    assert problem.message == f"has more than {MAX_FILE_BYTES} bytes"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("pools = [{name = 'fast', path = '/a', size = 0}]", 1),
        ("\n[[pools]]\nname = 'fast'\n\n'path' = '/a'\n  size=0", 6),
        ("[[ pools ]]\nname = 'a'\npath = '/a'\nsize = 1\n[[pools]]\nname = 'b'\npath = '/b'", 4),
    ],
)
def test_load_settings_of_toml_finds_the_line_of_a_key(
    tmp_path: Path, text: str, line: int
) -> None:
    (problem,) = problems_of(write(tmp_path, text))

    assert (problem.where, problem.line) == ("pools[0].size", line)


def test_load_settings_shows_an_unprintable_key_as_escapes(tmp_path: Path) -> None:
    (problem, _) = problems_of(write(tmp_path, '"a\\u0007" = 1'))

    assert problem.where == r"'a\x07'"
