"""Parts of an object that are near each other, read in one request and cut out of it again.

obstore does this too, and its version 0.12 panics where such a part begins behind the object's end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

# What is between two parts costs less than another request.
_NEAR_BYTES = 1 << 20
# No object reaches so far; what is asked for may be anything.
_END = (1 << 63) - 1


@dataclass(slots=True)
class Span:
    """A run of an object that covers some of the wanted parts, which are known by number."""

    start: int
    end: int
    numbers: list[int] = field(default_factory=list)

    @property
    def length(self) -> int:
        """How many bytes there are at most."""
        return self.end - self.start


def spans_of(ranges: Sequence[tuple[int, int]]) -> list[Span]:
    """The runs that cover all parts that are not empty, in the order of the object."""
    wanted = sorted(
        (at, number) for number, (at, length) in enumerate(ranges) if length > 0 and at < _END
    )
    spans: list[Span] = []
    for start, number in wanted:
        end = min(start + ranges[number][1], _END)
        if not spans or start > spans[-1].end + _NEAR_BYTES:
            spans.append(Span(start, end))
        spans[-1].end = max(spans[-1].end, end)
        spans[-1].numbers.append(number)
    return spans


def cut_out(
    ranges: Sequence[tuple[int, int]], spans: Sequence[Span], contents: Sequence[memoryview]
) -> list[bytes]:
    """The parts, in the order in which they are wanted; one that is not there is empty."""
    parts = [b""] * len(ranges)
    for span, content in zip(spans, contents, strict=True):
        for number in span.numbers:
            offset, length = ranges[number]
            begin = offset - span.start
            parts[number] = bytes(content[begin : begin + length])
    return parts
