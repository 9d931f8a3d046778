"""What differs between two images, by their trees alone."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from csi_zfs.cas.api import ZERO_DIGEST
from csi_zfs.cas.image_tree import ImageTreeReader, split_digests

# As many nodes of each tree are held at once.
_BATCH = 64
_NONE = (ZERO_DIGEST,)

# The first chunk below two nodes, and their digests.
_Pair = tuple[int, bytes, bytes]


def diff_images(old: ImageTreeReader, new: ImageTreeReader) -> Iterator[tuple[int, bytes, bytes]]:
    """The index of each chunk that differs, in order, with its old and its new digest.

    A chunk beyond an image's end counts as zeros.  Only nodes that differ are read.  Both trees
    must have digests of one domain.
    """
    comparison = _Comparison(old, new)
    return comparison.below([(0, old.tree.digest, new.tree.digest)], comparison.depth)


class _Comparison:
    """Walks two trees at once, the lower one as if it had nodes with one child above its root."""

    def __init__(self, old: ImageTreeReader, new: ImageTreeReader) -> None:
        self._old, self._new = old, new
        self._fan_out = old.tree.fan_out
        self._shallow, self.depth = sorted((old.tree.depth, new.tree.depth))

    def below(self, pairs: Sequence[_Pair], level: int) -> Iterator[tuple[int, bytes, bytes]]:
        """What differs below pairs of nodes of this level."""
        for start in range(0, len(pairs), _BATCH):
            batch = pairs[start : start + _BATCH]
            olds = _digests(self._old, [(first, old) for first, old, _ in batch], level)
            news = _digests(self._new, [(first, new) for first, _, new in batch], level)
            for (first, _, _), old, new in zip(batch, olds, news, strict=True):
                differing = self._differing(first, level, old, new)
                if level:
                    yield from self.below(list(differing), level - 1)
                else:
                    yield from differing

    def _differing(self, first: int, level: int, old: bytes, new: bytes) -> Iterator[_Pair]:
        span = self._fan_out**level
        # A root beside an inner node: that they are equal says nothing, their levels differ.
        always = level > self._shallow and not first
        slots = zip_longest(split_digests(old), split_digests(new), fillvalue=_NONE)
        for slot, ((old_digest,), (new_digest,)) in enumerate(slots):
            if old_digest != new_digest or (always and not slot):
                yield first + slot * span, old_digest, new_digest


def _digests(
    reader: ImageTreeReader, places: Sequence[tuple[int, bytes]], level: int
) -> Sequence[bytes]:
    if level >= reader.tree.depth:
        return [digest if digest != ZERO_DIGEST else b"" for _, digest in places]
    return reader.load_many(places, level)
