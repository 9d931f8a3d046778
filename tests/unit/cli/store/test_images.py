"""`put` and `get` of images."""

import os
import signal
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.packs import PACK_BYTES
from csi_zfs.cli.store import put as put_command
from csi_zfs.cli.store.progress import Advance
from tests.unit.cli.store.conftest import CHUNK, Store, damage_largest_pack, ids, put


def test_image_is_restored_to_a_new_sparse_file(store: Store, image: Path, home: Path) -> None:
    manifest_id = put(store, image, "--label", "of=disk")
    target = home / "restored"

    ended = store("get", manifest_id[:8], target)

    assert (ended.status, ended.err) == (0, "")
    assert target.read_bytes() == image.read_bytes()
    assert target.stat().st_blocks * 512 < image.stat().st_size / 2
    assert sorted(path.name for path in home.glob("*restored*")) == ["restored"]


def test_put_tells_what_was_new(store: Store, image: Path) -> None:
    first = store("put", image, "--json").document
    again = store("put", image, "--json").document

    assert (first["size_bytes"], first["chunk_bytes"]) == (20 * CHUNK + 100, CHUNK)
    assert first["new_bytes"] > 2 * CHUNK
    assert (again["new_bytes"], again["stored_bytes"], again["new_chunks"]) == (0, 0, 0)
    assert again["tree_digest"] == first["tree_digest"]


def test_get_never_replaces_what_is_there(store: Store, image: Path, home: Path) -> None:
    manifest_id = put(store, image)
    target = home / "precious"
    target.write_bytes(b"precious")

    ended = store("get", manifest_id, target)

    assert ended.status == 1
    assert "is there already" in ended.err
    assert target.read_bytes() == b"precious"


def test_get_in_place_needs_the_same_size_and_writes_what_differs(
    store: Store, image: Path, home: Path
) -> None:
    manifest_id = put(store, image)
    content = image.read_bytes()
    inode = image.stat().st_ino
    with image.open("r+b") as file:
        file.seek(10 * CHUNK)
        file.write(b"x" * CHUNK)
    assert image.read_bytes() != content

    assert store("get", manifest_id, image, "--in-place").status == 0
    assert image.read_bytes() == content
    assert image.stat().st_ino == inode

    os.truncate(image, 5)
    refused = store("get", manifest_id, image, "--in-place")
    assert refused.status == 1
    assert "5 bytes" in refused.err
    assert image.stat().st_size == 5


def test_get_in_place_of_what_is_not_there_is_refused(
    store: Store, image: Path, home: Path
) -> None:
    manifest_id = put(store, image)

    assert store("get", manifest_id, home / "none", "--in-place").status == 1
    assert store("get", manifest_id, home, "--in-place").status == 1
    assert not (home / "none").exists()


def test_damage_leaves_no_file_and_salvage_leaves_out_what_is_damaged(
    store: Store, image: Path, home: Path
) -> None:
    manifest_id = put(store, image)
    content = image.read_bytes()
    damage_largest_pack(home)
    target = home / "restored"

    ended = store("get", manifest_id, target)
    assert ended.status == 3
    assert "damaged" in ended.err
    assert list(home.glob("*restored*")) == []

    salvaged = store("get", manifest_id, target, "--salvage", "--json")
    assert salvaged.status == 3
    lost = salvaged.document["lost"]
    assert lost
    assert salvaged.document["reason"]
    restored = bytearray(target.read_bytes())
    for one in lost:
        begin, end = one["offset"], one["offset"] + one["length"]
        assert bytes(restored[begin:end]) == bytes(end - begin)
        restored[begin:end] = content[begin:end]
    assert bytes(restored) == content


@pytest.mark.expected_logs
def test_repair_makes_the_index_anew_and_tells_what_it_cannot_read(
    store: Store, image: Path, home: Path
) -> None:
    manifest_id = put(store, image)
    for index in (home / "store" / "indexes").iterdir():
        index.write_bytes(b"nothing")

    repaired = store("repair", "--json")

    assert (repaired.status, repaired.document["unreadable"]) == (0, [])
    assert store("check").status == 0
    assert store("get", manifest_id, home / "restored").status == 0
    _cut_largest_pack(home)
    assert store("repair").status == 3
    assert "1 packs cannot be read" in store("repair").out


def test_verify_finds_damage_and_the_next_put_heals_it(
    store: Store, image: Path, home: Path
) -> None:
    manifest_id = put(store, image)
    assert store("verify").status == 0
    damage_largest_pack(home)

    found = store("verify", "--json")
    assert found.status == 3
    assert len(found.document["bad"]) >= 1
    checked = store("check", "--json")
    assert checked.status == 3
    assert checked.document["damaged"] == [manifest_id]
    assert f"manifest {manifest_id}: " in store("check").err

    put(store, image)
    assert store("check").status == 0
    assert store("get", manifest_id, home / "restored").status == 0
    assert (home / "restored").read_bytes() == image.read_bytes()


def test_pipe_is_refused_and_a_missing_source_is_unreadable(store: Store, home: Path) -> None:
    os.mkfifo(home / "pipe")

    assert "no file, block device or directory" in store("put", home / "pipe").err
    assert store("put", home / "pipe").status == 1
    assert "No such file" in store("put", home / "none").err
    assert ids(store) == []


@pytest.mark.parametrize("label", ["x", "=x", "a b=x", "a=\x1b"])
def test_label_of_the_wrong_form_is_refused(store: Store, image: Path, label: str) -> None:
    assert store("put", image, "--label", label).status == 1
    assert ids(store) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_put_in_order_and_the_next_finds_what_was_uploaded(
    store: Store, home: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    large = home / "large"
    large.write_bytes(os.urandom(2 * PACK_BYTES + CHUNK))
    left = [large.stat().st_size // (4 << 20)]

    def interrupted(words: str, total_bytes: int | None) -> AbstractContextManager[Advance]:
        def advance(count: int) -> None:
            left[0] -= 1
            if not left[0]:
                signal.raise_signal(number)

        return nullcontext(advance)

    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(put_command, "progress", interrupted)
        ended = store("put", large)

    assert ended.status == 130
    assert "found by the next run" in ended.err
    assert "Traceback" not in ended.err
    assert signal.getsignal(number) == before
    assert ids(store) == []
    assert list(LocalObjects(home / "store").list("sessions/")) == []
    found = store("put", large, "--json")
    assert found.document["new_bytes"] < large.stat().st_size - PACK_BYTES // 2


def _cut_largest_pack(home: Path) -> None:
    storage = LocalObjects(home / "store")
    largest = max(storage.list("packs/"), key=lambda info: info.size_bytes)
    os.truncate(home / "store" / largest.key, largest.size_bytes - 1)
