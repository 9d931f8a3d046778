"""`init` and `key`: what opens a store, and that nobody is locked out or shown a secret."""

import os
import sys
from pathlib import Path

import pytest

from tests.unit.cli.store.conftest import Store, ids, put

CANARY = "canary-of-a-passphrase"


def test_init_again_is_refused_and_changes_nothing(store: Store, image: Path) -> None:
    manifest_id = put(store, image)

    assert store("init").status == 1
    assert ids(store) == [manifest_id]


def test_init_in_a_directory_with_other_things_is_refused(run: Store, home: Path) -> None:
    assert run("init", home).status == 1
    assert not (home / ".objects").exists()


@pytest.mark.parametrize("size", ["100", "96Ki", "8Mi"])
def test_init_with_a_chunk_size_that_cannot_be_makes_no_store(run: Store, size: str) -> None:
    assert run("init", "--chunk-size", size).status == 1
    assert run("ls").status == 1


def test_store_without_a_place_or_a_secret_says_how_to_give_one(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CSI_ZFS_STORE_KEY_FILE")
    assert "run this at a terminal" in store("ls").err
    monkeypatch.delenv("CSI_ZFS_STORE")
    assert "--store" in store("ls").err
    assert store("ls").status == 1
    assert store("ls", "--store", home / "store", "--key-file", home / "key").status == 0
    assert "neither" not in store("ls", "--store", "ftp://x", "--key-file", home / "key").err
    assert store("ls", "--store", "ftp://x", "--key-file", home / "key").status == 1


def test_wrong_key_is_refused_with_words(store: Store, home: Path) -> None:
    (home / "other").write_bytes(os.urandom(32))

    assert "opens no key slot" in store("ls", "--key-file", home / "other").err
    assert "cannot be read" in store("ls", "--key-file", home / "none").err
    (home / "short").write_bytes(b"short")
    assert "at least 32 bytes" in store("ls", "--key-file", home / "short").err
    both = ("--key-file", home / "key", "--passphrase-file", home / "key")
    assert store("ls", *both).status == 2


def test_passphrase_is_the_first_line_of_a_file_or_a_variable_and_shown_nowhere(
    run: Store, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """rules.md C4."""
    (home / "passphrase").write_text(f"{CANARY}\nmore\n", encoding="utf-8")
    made = run("init", "--passphrase-file", home / "passphrase")
    assert made.status == 0
    monkeypatch.delenv("CSI_ZFS_STORE_KEY_FILE")
    monkeypatch.setenv("CSI_ZFS_STORE_PASSPHRASE", CANARY)
    opened = run("ls")
    assert opened.status == 0
    monkeypatch.setenv("CSI_ZFS_STORE_PASSPHRASE", CANARY + "!")
    refused = run("key", "list")
    assert refused.status == 1
    for ended in (made, opened, refused):
        assert CANARY not in ended.out + ended.err


def test_passphrase_is_asked_for_at_a_terminal_alone(
    run: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [CANARY, CANARY, CANARY]
    monkeypatch.delenv("CSI_ZFS_STORE_KEY_FILE")
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda *words, **named: answers.pop(0))

    assert run("init").status == 0
    assert len(answers) == 1
    assert run("ls").status == 0


def test_key_is_rotated_and_the_old_one_opens_nothing(
    store: Store, home: Path, image: Path
) -> None:
    manifest_id = put(store, image)
    (home / "new").write_bytes(os.urandom(32))

    assert store("key", "rotate", "--new-key-file", home / "new").status == 0
    assert store("ls").status == 1
    assert ids(store, "--key-file", home / "new") == [manifest_id]
    (slot,) = store("key", "list", "--json", "--key-file", home / "new").document
    assert (slot["kind"], slot["label"]) == ("key", "first")


def test_slot_that_opens_the_store_for_the_caller_stays(store: Store, home: Path) -> None:
    (home / "new").write_bytes(os.urandom(32))
    (first,) = store("key", "list", "--json").document
    assert store("key", "remove", first["slot_id"]).status == 1

    added = store("key", "add", "--new-key-file", home / "new", "--slot-label", "laptop", "--json")
    slot_id = added.document["added"]
    assert store("key", "remove", first["slot_id"]).status == 1
    assert store("key", "remove", "zz").status == 1
    assert len(store("key", "list").out.splitlines()) == 3
    assert "laptop" in store("key", "list").out

    assert store("key", "remove", slot_id[:10]).status == 0
    assert store("ls", "--key-file", home / "new").status == 1
    assert store("ls").status == 0
