"""The cache of the chunks' places: shared by processes, thrown away where it is damaged."""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from csi_zfs.cas import places as module
from csi_zfs.cas.api import BlobKind
from csi_zfs.cas.compression import Codec
from csi_zfs.cas.indexes import PackContent
from csi_zfs.cas.packs import BLOB_HEADER_BYTES, Entry
from csi_zfs.cas.places import CacheUnavailableError, Place, Places


def digest_of(number: int) -> bytes:
    return number.to_bytes(32, "big")


def entry_of(number: int, offset: int = 40) -> Entry:
    return Entry(digest_of(number), offset, 100, 116, BlobKind.DATA, Codec.RAW)


def pack_of(*numbers: int) -> PackContent:
    entries = b"".join(
        entry_of(number, 40 + at * 200).encode() for at, number in enumerate(numbers)
    )
    return PackContent(os.urandom(16), os.urandom(32), 5000, entries)


def pack_ids(places: list[Place]) -> set[bytes]:
    return {place.pack_id for place in places}


def test_chunk_is_found_in_all_its_packs_but_the_bad_ones() -> None:
    first, second = pack_of(1, 2), pack_of(1)
    with closing(Places(None)) as places:
        places.add([first, second], "indexes/a")
        places.add([first], "indexes/a")
        assert pack_ids(places.find(digest_of(1))) == {first.pack_id, second.pack_id}
        (place,) = places.find(digest_of(2))
        assert place == Place(first.pack_id, first.salt, entry_of(2, 240))
        assert places.find(digest_of(3)) == []
        assert places.packs() == {first.pack_id: 5000, second.pack_id: 5000}
        places.add_bad([(digest_of(1), first.pack_id), (digest_of(2), first.pack_id)], "marks/a")
        assert pack_ids(places.find(digest_of(1))) == {second.pack_id}
        assert places.has(digest_of(1))
        assert places.has(digest_of(1), {second.pack_id})
        assert not places.has(digest_of(1), {first.pack_id})
        assert not places.has(digest_of(1), ())
        assert not places.has(digest_of(2))
        assert places.objects() == {"indexes/a", "marks/a"}
        places.forget_objects(["indexes/a", "indexes/none"])
        assert places.objects() == {"marks/a"}


def test_pack_that_is_forgotten_and_comes_back_is_as_bad_as_before() -> None:
    """A listing may have missed it: nobody reads the mark again, which is known."""
    pack, other = pack_of(1), pack_of(2)
    with closing(Places(None)) as places:
        places.add([pack, other])
        places.add_bad([(digest_of(1), pack.pack_id)], "marks/a")
        places.forget_packs([pack.pack_id])
        places.add([pack])
        assert not places.has(digest_of(1))
        places.forget_packs([pack.pack_id])
        places.forget_gone()
        assert not places.has(digest_of(1))
        assert places.has(digest_of(2))


def test_every_chunk_is_told_with_its_packs_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE", 3)
    first, second = pack_of(*range(1, 8)), pack_of(*range(3, 10))
    with closing(Places(None)) as places:
        places.add([first, second])
        places.add_bad([(digest_of(4), second.pack_id)], "marks/a")
        found = {
            digest: [(one.pack_id, one.length, one.is_bad) for one in holdings]
            for digest, holdings in places.of_each()
        }
    assert list(found) == [digest_of(number) for number in range(1, 10)]
    length = BLOB_HEADER_BYTES + 116
    assert found[digest_of(1)] == [(first.pack_id, length, False)]
    assert {pack_id for pack_id, _, _ in found[digest_of(3)]} == {first.pack_id, second.pack_id}
    assert {pack_id: is_bad for pack_id, _, is_bad in found[digest_of(4)]} == {
        first.pack_id: False,
        second.pack_id: True,
    }


def test_two_clients_share_the_file(tmp_path: Path) -> None:
    path = tmp_path / "new" / "cache"
    with closing(Places(path)) as one, closing(Places(path)) as other:
        pack = pack_of(1)
        one.add([pack], "indexes/a")
        assert pack_ids(other.find(digest_of(1))) == {pack.pack_id}
        assert other.objects() == {"indexes/a"}
    with closing(Places(path)) as again:
        assert again.packs() == {pack.pack_id: 5000}


def overwrite(path: Path) -> None:
    path.write_bytes(b"this is no database" * 500)


def overwrite_all_but_the_first_page(path: Path) -> None:
    """What the opening looks at is whole; every look-up is not."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xa5" * (len(data) - 4096))


def cut_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 4096 * 2048)


@pytest.mark.parametrize("damage", [overwrite, overwrite_all_but_the_first_page, cut_off])
def test_damaged_file_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """At once, or by the next run, which this one asks for."""
    path = tmp_path / "cache"
    packs = [pack_of(*range(number, number + 100)) for number in range(0, 1000, 100)]
    with closing(Places(path)) as places:
        places.add(packs, "indexes/a")
    damage(path)
    try:
        with closing(Places(path)) as places:
            places.find(digest_of(1))
            places.add([pack_of(5)])
            places.packs()
            list(places.of_each())
    except CacheUnavailableError as exc:
        assert "repeat" in str(exc)  # noqa: PT017
    with closing(Places(path)) as places:
        assert places.objects() == set()
        places.add(packs, "indexes/a")
        assert places.has(digest_of(999))


def test_entry_that_cannot_be_is_damage_of_the_cache_alone(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    with closing(Places(path)) as places:
        places.add([pack_of(1)], "indexes/a")
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("update chunks set entry = x'00'")
    with closing(Places(path)) as places, pytest.raises(CacheUnavailableError, match="repeat"):
        places.find(digest_of(1))
    with closing(Places(path)) as places:
        assert places.objects() == set()


def test_file_of_another_version_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "cache"
    with closing(Places(path)) as places:
        places.add([pack_of(1)], "indexes/a")
    with closing(sqlite3.connect(path)) as database:
        database.execute("pragma user_version = 99")
    with closing(Places(path)) as places:
        assert places.objects() == set()
        places.add([pack_of(1)], "indexes/a")
    with closing(Places(path)) as places:
        assert places.objects() == {"indexes/a"}


def test_place_that_cannot_have_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path / "file" / "cache", tmp_path):
        with pytest.raises(CacheUnavailableError, match="cannot be used"):
            Places(path)


def test_change_that_fails_leaves_nothing_of_it() -> None:
    def packs() -> object:
        yield pack_of(1)
        raise KeyError

    with closing(Places(None)) as places:
        with pytest.raises(KeyError):
            places.add(packs(), "indexes/a")  # type: ignore[arg-type]
        assert places.packs() == {}
        assert places.objects() == set()


def test_closed_cache_says_so() -> None:
    places = Places(None)
    places.close()
    with pytest.raises(CacheUnavailableError):
        places.find(digest_of(1))
