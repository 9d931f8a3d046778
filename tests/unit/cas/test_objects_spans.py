"""Parts that are near each other are read at once."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.cas.objects.spans import cut_out, spans_of

MIB = 1 << 20
CONTENT = bytes(range(256)) * 40
RANGES = st.lists(st.tuples(st.integers(0, 3 * MIB), st.integers(0, 2 * MIB)), max_size=12)


def test_near_parts_share_a_span_and_far_ones_do_not() -> None:
    spans = spans_of([(3 * MIB, 10), (0, 10), (MIB + 10, 5), (4, 2)])
    assert [(span.start, span.end) for span in spans] == [(0, MIB + 15), (3 * MIB, 3 * MIB + 10)]


def test_part_that_begins_where_no_object_ends_is_not_asked_for() -> None:
    assert spans_of([(1 << 63, 1), (1 << 64, 1 << 64), (5, 0)]) == []
    [span] = spans_of([((1 << 63) - 2, 1 << 64)])
    assert (span.start, span.length) == ((1 << 63) - 2, 1)


@given(RANGES)
def test_parts_are_those_of_the_object_and_cut_at_its_end(ranges: list[tuple[int, int]]) -> None:
    spans = spans_of(ranges)
    contents = [memoryview(CONTENT)[span.start : span.end] for span in spans]
    assert cut_out(ranges, spans, contents) == [CONTENT[at : at + n] for at, n in ranges]


@given(RANGES)
def test_spans_are_apart_from_each_other(ranges: list[tuple[int, int]]) -> None:
    """Otherwise obstore would join them again."""
    pairs = pairwise(spans_of(ranges))
    assert all(before.end + MIB < behind.start for before, behind in pairs)
