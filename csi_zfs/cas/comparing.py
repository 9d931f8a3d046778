"""What differs between two manifests of a store, by their metadata alone."""

from collections.abc import Iterator

from csi_zfs.cas.api import Manifest, ManifestKind
from csi_zfs.cas.file_tree import FileTree
from csi_zfs.cas.image_diff import diff_images
from csi_zfs.cas.image_tree import ImageTreeReader, image_tree_of
from csi_zfs.cas.store import Store
from csi_zfs.cas.tree_diff import TreeChange, diff_trees
from csi_zfs.domain.errors import InvalidRequestError


class NotComparableError(InvalidRequestError):
    """Only manifests of one kind and of one dedup domain are compared."""


def changed_ranges(store: Store, old: Manifest, new: Manifest) -> Iterator[tuple[int, int]]:
    """The ranges of two images that differ, as offset and length, in whole chunks.

    Neighbours are one.  The last one ends where the longer image does.  Raises
    `NotComparableError`.
    """
    _require_comparable(old, new, ManifestKind.IMAGE)
    reader = store.reader(new.domain)
    trees = [ImageTreeReader(reader, image_tree_of(one.root)) for one in (old, new)]
    chunk_bytes = new.root.chunk_bytes
    end = max(old.root.size_bytes, new.root.size_bytes)
    indexes = (index for index, _, _ in diff_images(*trees))
    for first, behind in _runs(indexes):
        yield first * chunk_bytes, min(behind * chunk_bytes, end) - first * chunk_bytes


def changed_paths(store: Store, old: Manifest, new: Manifest) -> Iterator[TreeChange]:
    """The paths of two trees of files that differ.  Raises `NotComparableError`."""
    _require_comparable(old, new, ManifestKind.TREE)
    reader = store.reader(new.domain)
    return diff_trees(*(FileTree(reader, one.root.tree_digest) for one in (old, new)))


def _runs(indexes: Iterator[int]) -> Iterator[tuple[int, int]]:
    first = behind = -1
    for index in indexes:
        if index != behind:
            if first >= 0:
                yield first, behind
            first = index
        behind = index + 1
    if first >= 0:
        yield first, behind


def _require_comparable(old: Manifest, new: Manifest, kind: ManifestKind) -> None:
    if not old.root.kind is new.root.kind is kind:
        raise NotComparableError("an image and a tree of files cannot be compared")
    if old.domain != new.domain:
        raise NotComparableError(
            f"manifests of the domains {old.domain!r} and {new.domain!r} cannot be compared: equal"
            " content has different digests there"
        )
    if old.root.chunk_bytes != new.root.chunk_bytes:
        raise NotComparableError("images that are cut into chunks of two sizes")
