"""`ls`, `clone`, `rm`, `forget`, `gc`, `stats`: what a store has, and what it lets go."""

from pathlib import Path

from tests.unit.cli.store.conftest import CHUNK, Store, ids, put


def test_ls_shows_manifests_oldest_first_and_filters_by_labels(
    store: Store, image: Path, tree: Path
) -> None:
    first = put(store, image, "--label", "of=disk", "--label", "by=me")
    second = put(store, tree, "--label", "of=home")

    assert ids(store) == [first, second]
    assert ids(store, "--label", "of=disk") == [first]
    assert ids(store, "--label", "of=disk", "--label", "by=you") == []
    lines = store("ls").out.splitlines()
    assert lines[0].split() == ["MANIFEST", "CREATED", "KIND", "SIZE", "DOMAIN", "LABELS"]
    assert lines[1].split()[0] == first
    assert "by=me of=disk" in lines[1]


def test_manifest_is_named_by_a_beginning_that_only_it_has(store: Store, image: Path) -> None:
    both = [put(store, image), put(store, image)]

    assert store("ls", both[0], "--json").document["manifest_id"] == both[0]
    assert store("ls", both[0][:31], "--json").document["manifest_id"] == both[0]
    for text in ("", "zz", both[0][:31] + "g", "../" + both[0]):
        assert store("rm", text).status == 1
    assert ids(store) == both


def test_clone_has_labels_of_its_own_and_outlives_its_source(
    store: Store, image: Path, home: Path
) -> None:
    source = put(store, image, "--label", "of=disk")
    clone = store("clone", source, "--label", "keep=yes").out.strip()

    assert store("rm", source).status == 0
    assert store("gc").status == 0
    assert ids(store) == [clone]
    assert store("ls", clone, "--json").document["parent_id"] == source
    assert store("get", clone, home / "restored").status == 0
    assert (home / "restored").read_bytes() == image.read_bytes()


def test_rm_looks_all_up_before_it_removes_one(store: Store, image: Path) -> None:
    manifest_id = put(store, image)

    assert store("rm", manifest_id[:8], "zz").status == 1
    assert store("rm", manifest_id, "0" * 32).status == 1
    assert ids(store) == [manifest_id]
    assert store("rm", manifest_id[:8]).status == 0
    assert store("rm", manifest_id, "--json").document == {"removed": [manifest_id]}
    assert store("rm", "0" * 32).status == 1


def test_gc_frees_what_was_removed(store: Store, image: Path) -> None:
    manifest_id = put(store, image)
    nothing = store("gc", "--json").document
    assert (nothing["deleted_packs"], nothing["waits_for"]) == (0, [])
    store("rm", manifest_id)

    freed = store("gc", "--json").document

    assert freed["deleted_packs"] == 2
    assert freed["deleted_bytes"] > 2 * CHUNK
    assert store("stats", "--json").document["packs"] == 0


def test_forget_keeps_each_series_by_its_label(store: Store, image: Path, tree: Path) -> None:
    disks = [put(store, image, "--label", "of=disk") for _ in range(3)]
    home = put(store, tree, "--label", "of=home")
    words = ("forget", "--by", "of", "--keep-last", "2", "--json")

    dry = store(*words, "--dry-run").document
    assert (dry["removed"], dry["is_dry_run"]) == (disks[:1], True)
    assert ids(store) == [*disks, home]

    done = store(*words).document
    assert done["removed"] == disks[:1]
    assert {one["manifest_id"] for one in done["kept"]} == {*disks[1:], home}
    assert ids(store) == [*disks[1:], home]


def test_forget_leaves_what_the_labels_do_not_choose(store: Store, image: Path) -> None:
    other = put(store, image)
    disks = [put(store, image, "--label", "of=disk") for _ in range(2)]

    shown = store("forget", "--label", "of=disk", "--keep-daily", "1")

    assert ids(store) == [other, disks[1]]
    assert [line.split()[0] for line in shown.out.splitlines()[1:]] == disks


def test_forget_without_a_rule_removes_nothing(store: Store, image: Path) -> None:
    manifest_id = put(store, image)

    assert "at least one of" in store("forget").err
    assert store("forget", "--keep-last", "-1").status == 2
    assert ids(store) == [manifest_id]


def test_stats_counts_what_is_shared_once(store: Store, image: Path) -> None:
    put(store, image, "--label", "of=disk")
    alone = store("stats", "--json").document
    put(store, image, "--label", "of=copy")

    both = store("stats", "--by", "of", "--json").document

    size_bytes = image.stat().st_size
    assert (alone["logical_bytes"], both["logical_bytes"]) == (size_bytes, 2 * size_bytes)
    assert alone["unique_bytes"] == both["unique_bytes"] > 2 * CHUNK
    assert alone["stored_bytes"] == both["stored_bytes"] <= both["pack_bytes"]
    assert both["dedup_ratio"] > 1.9 * alone["dedup_ratio"]
    assert sorted(both["by_label"]) == ["copy", "disk"]
    assert both["by_label"]["disk"]["unique_bytes"] == alone["unique_bytes"]
    rows = [line.split() for line in store("stats", "--by", "of").out.splitlines()]
    assert [row[0] for row in rows] == ["MANIFESTS", "all", "of=copy", "of=disk", "2"]
