"""BLAKE3, the one digest of the product."""

from blake3 import blake3


def hex_digest_of(data: bytes) -> str:
    """The BLAKE3-256 digest of `data` in 64 lower-case hex digits."""
    return blake3(data).hexdigest()
