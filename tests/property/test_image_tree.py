"""Images' trees against plain dictionaries: I3, I4, I5, I7 and I14 of the chunk store."""

from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.cas.api import ZERO_DIGEST, BlobKind
from csi_zfs.cas.image_tree import ImageTreeReader
from tests.support.image_trees import (
    Content,
    change_image,
    diff_of,
    digest_of,
    mark,
    read_image,
    write_image,
)
from tests.support.memory_chunks import MemoryChunks

# With a fan-out of 4: up to five levels.
_COUNTS = st.sampled_from([0, 1, 2, 3, 4, 5, 15, 16, 17, 63, 64, 65, 255, 256, 257, 700])
_DIGESTS = st.integers(1, 5).map(digest_of)


@st.composite
def images(draw: st.DrawFn) -> tuple[Content, int]:
    """An image's chunks, many of them equal, and their number."""
    count = draw(_COUNTS)
    if not count:
        return {}, 0
    indexes = st.integers(0, count - 1)
    runs = draw(st.lists(st.tuples(indexes, st.integers(1, 80), _DIGESTS), max_size=6))
    content = {
        index: digest
        for start, length, digest in runs
        for index in range(start, min(start + length, count))
    }
    for index in draw(st.lists(indexes, max_size=8)):
        content[index] = draw(_DIGESTS)
    return content, count


@given(images(), st.integers(0, 800))
def test_image_is_read_as_it_was_written_from_anywhere(
    image: tuple[Content, int], start: int
) -> None:
    chunks = MemoryChunks()
    tree = write_image(chunks, *image)
    assert read_image(chunks, tree) == image[0]
    expected = {index: digest for index, digest in image[0].items() if index >= start}
    assert read_image(chunks, tree, start) == expected


@given(st.lists(images(), min_size=2, max_size=4))
def test_root_depends_on_the_content_alone(versions: list[tuple[Content, int]]) -> None:
    """I3, I4: any way of changes that leads to a content gives the root that writing it gives."""
    chunks = MemoryChunks()
    (content, count), *others = versions
    tree = write_image(chunks, content, count)
    for new, new_count in others:
        changes = {
            index: new.get(index, ZERO_DIGEST)
            for index in content.keys() | new.keys()
            if index < new_count and content.get(index) != new.get(index)
        }
        tree = change_image(chunks, tree, changes, new_count)
        content = new
        assert tree == write_image(MemoryChunks(), new, new_count)
        assert read_image(chunks, tree) == new


@given(images(), images())
def test_diff_is_exactly_what_differs(old: tuple[Content, int], new: tuple[Content, int]) -> None:
    """I5: and the older image changed by it is the newer one."""
    chunks = MemoryChunks()
    old_tree, new_tree = write_image(chunks, *old), write_image(chunks, *new)
    diff = diff_of(chunks, old_tree, new_tree)
    assert diff == [
        (index, old[0].get(index, ZERO_DIGEST), new[0].get(index, ZERO_DIGEST))
        for index in sorted(old[0].keys() | new[0].keys())
        if old[0].get(index) != new[0].get(index)
    ]
    changes = {index: digest for index, _, digest in diff if index < new[1]}
    assert change_image(chunks, old_tree, changes, new[1]) == new_tree


@given(images())
def test_zeros_store_nothing(image: tuple[Content, int]) -> None:
    """I7: no more nodes than chunks ask for, and none when all of them become zeros."""
    chunks = MemoryChunks()
    tree = write_image(chunks, *image)
    assert len(chunks.stored) <= len(image[0]) * tree.depth
    blank = change_image(chunks, tree, dict.fromkeys(image[0], ZERO_DIGEST), image[1])
    assert blank.digest == ZERO_DIGEST
    assert mark(chunks, blank, set()) == []


@given(images(), images())
def test_marking_visits_each_node_once(old: tuple[Content, int], new: tuple[Content, int]) -> None:
    chunks = MemoryChunks()
    old_tree = write_image(chunks, *old)
    old_nodes = chunks.of_kind(BlobKind.TREE)
    new_tree = write_image(chunks, *new)
    seen: set[bytes] = set()
    first, second = mark(chunks, old_tree, seen), mark(chunks, new_tree, seen)
    assert sorted(first) == sorted(old_nodes)
    assert sorted(second) == sorted(chunks.of_kind(BlobKind.TREE) - old_nodes)


@given(images(), images())
def test_delete_of_a_clone_changes_no_sibling(
    origin: tuple[Content, int], clone: tuple[Content, int]
) -> None:
    """I14: what the others reach is enough to read them."""
    chunks = MemoryChunks()
    tree = write_image(chunks, *origin)
    change_image(chunks, tree, clone[0] if clone[1] <= origin[1] else {}, origin[1])
    kept: set[bytes] = set()
    mark(chunks, tree, kept)
    for digest in chunks.of_kind(BlobKind.TREE) - kept:
        del chunks.stored[digest, BlobKind.TREE]
    assert read_image(chunks, tree) == origin[0]


@given(images(), st.data())
def test_lost_nodes_lose_what_is_below_them_alone(
    image: tuple[Content, int], data: st.DataObject
) -> None:
    """Salvage: each chunk is either read or in a range that was told."""
    chunks = MemoryChunks()
    tree = write_image(chunks, *image)
    nodes = sorted(chunks.of_kind(BlobKind.TREE))
    chunks.damaged = set(data.draw(st.lists(st.sampled_from(nodes), max_size=3)) if nodes else [])
    lost: set[int] = set()

    def note(first: int, count: int, _error: Exception) -> None:
        lost.update(range(first, first + count))

    found = dict(ImageTreeReader(chunks, tree).chunks(lost=note))
    assert found == {index: digest for index, digest in image[0].items() if index not in lost}
    assert bool(lost) == bool(chunks.damaged)
    assert all(index < image[1] for index in lost)
