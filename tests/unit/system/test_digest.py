"""The digest of the product is BLAKE3, held by the vectors of its specification."""

import pytest

from csi_zfs.system.digest import hex_digest_of

# From the BLAKE3 team's test_vectors.json: the input is the bytes 0, 1, 2, ... 250, 0, 1, ...
VECTORS = {
    0: "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    1: "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213",
    1024: "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7",
}


@pytest.mark.parametrize("length", VECTORS)
def test_digest_is_that_of_the_specification(length: int) -> None:
    assert hex_digest_of(bytes(i % 251 for i in range(length))) == VECTORS[length]
