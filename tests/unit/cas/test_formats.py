"""docs/reference/formats.md is what stores are: taken apart by the page's tables alone."""

import re

import pytest
from cryptography.exceptions import InvalidTag

from tests.support.format_tables import PAGE, Fields, FormatError, Page
from tests.support.memory_objects import MemoryObjects
from tests.support.store_by_page import DATA, StoreByPage, digest_of_root
from tests.support.store_specimen import (
    CHUNK_BYTES,
    GID,
    IMAGE,
    IMAGE_BYTES,
    IMAGE_LABELS,
    KEPT,
    LONG_ATTRIBUTES,
    LOST,
    MODE,
    MTIME_NS,
    PASSPHRASE,
    SHORT_ATTRIBUTES,
    SMALL,
    TOP_NAMES,
    TREE_DOMAIN,
    UID,
    large_file,
    make_specimen,
    many_names,
    read_specimen,
)
from tests.support.stores import CREDENTIAL

# A row of a table of bytes, or of a document.
_IS_FIELD = re.compile(r"\| [^|]*\| [^|]*\| `\w+` \||\| `\w+` \| [^|]*\| [^|]*\|$")
_DOMAINS = ["default", TREE_DOMAIN]


def made_now() -> MemoryObjects:
    storage = MemoryObjects()
    make_specimen(storage)
    return storage


def kept_objects(storage: MemoryObjects) -> dict[str, bytes]:
    return {key: kept.data for key, kept in storage.kept.items()}


def opened(page: str, objects: dict[str, bytes]) -> StoreByPage:
    store = StoreByPage(Page.read(page), objects)
    store.unlock(CREDENTIAL.secret, "key")
    store.open_packs(_DOMAINS)
    return store


@pytest.fixture(params=[*KEPT, None], ids=lambda path: path.name if path else "made now")
def by_page(request: pytest.FixtureRequest) -> StoreByPage:
    storage = read_specimen(request.param) if request.param else made_now()
    return opened(PAGE.read_text(), kept_objects(storage))


def manifest(store: StoreByPage, kind: str) -> dict[str, object]:
    sessions = [store.document(key) for key in store.below("sessions/")]
    (found,) = [one for one in sessions if one["root"] and one["root"]["kind"] == kind]
    return found


def test_every_object_is_one_of_the_page_and_every_one_of_the_page_is_there(
    by_page: StoreByPage,
) -> None:
    met = {by_page.row_of(key)["key"] for key in by_page.objects}
    assert met == {row["key"] for row in by_page.page.lists["key"] if "holds" in row}


def test_both_slots_hold_the_same_key_and_what_is_in_plain_text_is_vouched_for(
    by_page: StoreByPage,
) -> None:
    key = by_page.key
    assert by_page.unlock(PASSPHRASE.secret, "passphrase") == key
    for name in ["store", *by_page.below("slots/")]:
        assert by_page.mac_of(name) in by_page.objects[name].decode()
    assert (by_page.header["chunk_bytes"], by_page.header["features"]) == (CHUNK_BYTES, [])


def test_image_is_what_was_put_in(by_page: StoreByPage) -> None:
    found = manifest(by_page, "image")
    root = found["root"]
    assert isinstance(root, dict)
    assert (found["domain"], found["owner"] != "") == ("default", True)
    assert (root["size_bytes"], root["chunk_bytes"], root["depth"]) == (IMAGE_BYTES, CHUNK_BYTES, 2)
    assert (root["labels"], root["zfs_createtxg"]) == (IMAGE_LABELS, 77)
    assert by_page.image_chunks("default", root) == IMAGE


def entries_of(store: StoreByPage) -> tuple[Fields, dict[bytes, Fields]]:
    root = manifest(store, "tree")["root"]
    assert isinstance(root, dict)
    (record,) = store.records_of(TREE_DOMAIN, bytes.fromhex(root["tree_digest"]))
    (top,) = record.parts("top")
    entries = store.records_of(TREE_DOMAIN, top.raw("content"))
    return record, {entry.raw("name"): entry for entry in entries}


def test_tree_of_files_is_what_was_put_in(by_page: StoreByPage) -> None:
    record, entries = entries_of(by_page)
    many = by_page.records_of(TREE_DOMAIN, entries[b"many"].raw("content"))
    assert list(entries) == TOP_NAMES
    assert [entry.raw("name") for entry in many] == many_names()
    assert record.number("entries") == len(entries) + len(many)
    assert record.number("file_bytes") == sum(
        entries[name].number("size") for name in (b"large", b"small", b"zeros")
    )
    for entry in [*entries.values(), *many]:
        assert [entry.number(name) for name in ("mode", "uid", "gid")] == [MODE, UID, GID]
        assert entry.number("mtime_s") * 10**9 + entry.number("mtime_ns") == MTIME_NS
    kinds = [entry.number("kind") for entry in entries.values()]
    assert kinds == [5, 4, 2, 6, 1, 3, 2, 1, 1, 1]
    assert [entries[name].number("size") for name in (b"block", b"character")] == [
        8 << 32 | 1,
        1 << 32 | 3,
    ]


def test_content_of_files_is_what_was_put_in(by_page: StoreByPage) -> None:
    _, entries = entries_of(by_page)
    large = large_file(by_page.chunk_key(TREE_DOMAIN, DATA))
    contents = {
        name: by_page.file_content(TREE_DOMAIN, entries[name])
        for name in (b"large", b"small", b"the same", b"zeros")
    }
    assert contents == {
        b"large": b"".join(large),
        b"small": SMALL,
        b"the same": SMALL,
        b"zeros": bytes(CHUNK_BYTES),
    }
    assert entries[b"link"].raw("target") == entries[b"the same"].raw("link") == b"small"


def test_extended_attributes_are_what_was_put_in(by_page: StoreByPage) -> None:
    _, entries = entries_of(by_page)
    empty = entries[b"empty"]
    found = [
        entries[b"small"].parts("attributes"),
        by_page.records_of(TREE_DOMAIN, empty.raw("attributes_digest")),
    ]
    values = [[(one.raw("name"), one.raw("value")) for one in records] for records in found]
    assert values == [SHORT_ATTRIBUTES, LONG_ATTRIBUTES]


def test_journal_is_a_chain_of_the_commits_and_the_delete(by_page: StoreByPage) -> None:
    entries = [by_page.document(key) for key in by_page.below("journal/")]
    assert [one["action"] for one in entries] == ["commit", "commit", "commit", "delete"]
    ids = {one["manifest_id"] for one in entries[:2]}
    assert by_page.chain_of("journal/") == [one["previous"] for one in entries]
    assert {f"sessions/{one}" for one in ids} < set(by_page.below("sessions/"))
    assert entries[2]["manifest_id"] == entries[3]["manifest_id"]
    for one in entries[:2]:
        root = by_page.document(f"sessions/{one['manifest_id']}")["root"]
        assert one["root_digest"] == digest_of_root(root)


def test_indexes_marks_and_epoch_name_what_the_packs_hold(by_page: StoreByPage) -> None:
    sections = [
        section
        for key in by_page.below("indexes/")
        for section in by_page.records(key).parts("sections")
    ]
    assert {one.raw("pack_id"): one.parts("entries") for one in sections} == by_page.entries
    for one in sections:
        name = one.raw("pack_id").hex()
        pack = by_page.objects[f"packs/{name[:2]}/{name}"]
        assert (len(pack), pack[8:40]) == (one.number("pack_bytes"), one.raw("salt"))
    (mark,) = [m for key in by_page.below("marks/") for m in by_page.records(key).parts("places")]
    epoch = by_page.document("collector/epoch")
    assert by_page.chunk("default", mark.raw("digest")) == LOST
    assert mark.raw("pack_id").hex() in epoch["packs"]
    assert (epoch["number"], epoch["phase"], len(epoch["packs"])) == (1, "condemned", 2)


def test_specimen_has_something_in_every_field_of_the_page(by_page: StoreByPage) -> None:
    by_page.read_all()
    left_out = {
        ("epoch", "phase idle"),
        ("epoch", "phase doomed"),
    }
    assert set(by_page.page.fields()) - by_page.page.met == left_out


# --- the page itself ---


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("| 28 | 32 | `digest`", "| 27 | 32 | `digest`"),
        ("| 16 | 4 | `sealed_bytes` | number |", "| 16 | 4 | `sealed_bytes` | zero |"),
        ('"blob"', '"blop"'),
        ("count * 48 |", "count * 47 |"),
        ("if flags & 2", "if flags & 1"),
        ("tags of domains", "tag of domains"),
        ("| `beat_ns` | number |", "| `beat_s` | number |"),
        ("| `open`, `committed`, `aborted` |", "| `open`, `committed` |"),
    ],
)
def test_page_that_says_something_else_does_not_fit(old: str, new: str) -> None:
    """The control: what the page says is what the walk goes by."""
    text = PAGE.read_text()
    assert old in text
    objects = kept_objects(read_specimen(KEPT[0]))
    with pytest.raises((FormatError, AssertionError, KeyError, ValueError, InvalidTag)):
        read_everything(text.replace(old, new), objects)


def read_everything(page: str, objects: dict[str, bytes]) -> None:
    store = opened(page, objects)
    store.read_all()
    entries_of(store)


def rows_below_headings() -> dict[str, list[int]]:
    """The numbers of the lines that describe a field."""
    found: dict[str, list[int]] = {}
    heading = ""
    for number, line in enumerate(PAGE.read_text().splitlines()):
        if line.startswith("#"):
            heading = line.strip("# ")
        elif _IS_FIELD.match(line):
            found.setdefault(heading, []).append(number)
    return found


_ROWS = rows_below_headings()


def test_every_table_of_the_page_is_in_the_control() -> None:
    page = Page.read(PAGE.read_text())
    tables = page.byte_tables | page.documents
    assert {name.lower(): len(rows) for name, rows in _ROWS.items()} == {
        name: len(rows) for name, rows in tables.items()
    }


@pytest.mark.parametrize("heading", _ROWS)
def test_page_that_lacks_any_row_does_not_fit(heading: str) -> None:
    lines = PAGE.read_text().splitlines()
    objects = kept_objects(read_specimen(KEPT[0]))
    for number in _ROWS[heading]:
        without = "\n".join([*lines[:number], *lines[number + 1 :]])
        with pytest.raises((FormatError, AssertionError, KeyError, ValueError, InvalidTag)):
            read_everything(without, objects)
