"""Images as plain dictionaries: the index and digest of each chunk that is not zeros."""

from collections.abc import Iterable, Mapping

from csi_zfs.cas.image_diff import diff_images
from csi_zfs.cas.image_tree import ImageTree, ImageTreeReader
from csi_zfs.cas.image_writer import ImageTreeWriter
from tests.support.memory_chunks import MemoryChunks

# Deep trees of few chunks.
FAN_OUT = 4

Content = dict[int, bytes]
Diff = list[tuple[int, bytes, bytes]]


def digest_of(number: int) -> bytes:
    """A digest for each number above 0; it ends in zero bytes, as one in 256 real ones does."""
    return number.to_bytes(31, "little") + b"\0"


def write_image(
    chunks: MemoryChunks, content: Mapping[int, bytes], chunk_count: int, fan_out: int = FAN_OUT
) -> ImageTree:
    """Write all of an image."""
    writer = ImageTreeWriter(chunks, chunk_count, fan_out=fan_out)
    return _fill(writer, content.items())


def change_image(
    chunks: MemoryChunks, base: ImageTree, changes: Mapping[int, bytes], chunk_count: int
) -> ImageTree:
    """Write what changed of an image."""
    writer = ImageTreeWriter(chunks, chunk_count, base=ImageTreeReader(chunks, base))
    return _fill(writer, changes.items())


def read_image(chunks: MemoryChunks, tree: ImageTree, start: int = 0) -> Content:
    """Read an image from one chunk on."""
    found = list(ImageTreeReader(chunks, tree).chunks(start))
    assert [index for index, _ in found] == sorted({index for index, _ in found})
    return dict(found)


def diff_of(chunks: MemoryChunks, old: ImageTree, new: ImageTree) -> Diff:
    """What differs between two images."""
    return list(diff_images(ImageTreeReader(chunks, old), ImageTreeReader(chunks, new)))


def mark(chunks: MemoryChunks, tree: ImageTree, seen: set[bytes]) -> list[bytes]:
    """The nodes of an image that were not seen yet, in the order in which they are found."""

    def is_new(digest: bytes) -> bool:
        known = digest in seen
        seen.add(digest)
        return not known

    return [node.digest for node in ImageTreeReader(chunks, tree).nodes(is_new)]


def _fill(writer: ImageTreeWriter, content: Iterable[tuple[int, bytes]]) -> ImageTree:
    for index, digest in sorted(content):
        writer.put(index, digest)
    return writer.finish()
