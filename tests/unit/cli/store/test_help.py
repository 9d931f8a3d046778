"""What every store command has."""

import pytest
import typer

from csi_zfs.cli.store import app, key
from tests.unit.cli.store.conftest import Store


def names_in(group: typer.Typer) -> list[str]:
    return sorted(typer.main.get_group(group).commands)


COMMANDS = [[name] for name in names_in(app) if name != "key"] + [
    ["key", name] for name in names_in(key.app)
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_needs_no_store_and_has_the_common_options_and_an_example(
    run: Store, words: list[str]
) -> None:
    ended = run(*words, "--help")

    assert ended.status == 0
    for option in ("--store", "--key-file", "--passphrase-file", "--state-dir", "--json"):
        assert option in ended.out
    assert f"csi-zfs store {' '.join(words)}" in ended.out.partition("Example:\n")[2]


def test_commands_are_all_that_there_are() -> None:
    assert " ".join(map(" ".join, COMMANDS)) == (
        "cat check clone diff forget gc get init ls put repair rm stats verify"
        " key add key list key remove key rotate"
    )


@pytest.mark.parametrize(
    "words",
    [["pt"], ["put"], ["get", "x"], ["ls", "--label"], ["gc", "--live-share", "2"], ["key", "ad"]],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(run: Store, words: list[str]) -> None:
    assert run(*words).status == 2
