"""Cutting large files where their content says, so that an insertion shifts no later chunk.

FastCDC (the 2016 paper's gear hash with two masks) as the library `fastcdc` computes it, with its
own gear table: at least 64 KiB, 256 KiB on average, at most 1 MiB.  Where it cuts is part of the
store's format: another table or another mask would store every large file anew.
"""

from collections.abc import Iterator

from fastcdc.fastcdc_cy import fastcdc_cy  # type: ignore[import-untyped]

# Also the length up to which a file is one chunk.
LARGEST_BYTES = 1024 * 1024
AVERAGE_BYTES = 256 * 1024
SMALLEST_BYTES = 64 * 1024


def cut(data: bytes, *, is_whole: bool) -> Iterator[tuple[int, int]]:
    """Where chunks begin and how long they are; all of `data` where it `is_whole`.

    Else the cuts end where more data could move the next one: the rest belongs before what follows.
    """
    chunks = fastcdc_cy(data, SMALLEST_BYTES, AVERAGE_BYTES, LARGEST_BYTES)
    start = 0
    while start < len(data) if is_whole else len(data) - start >= LARGEST_BYTES:
        length: int = next(chunks).length
        yield start, length
        start += length
