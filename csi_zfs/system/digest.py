"""BLAKE3, the one digest of the product."""

from blake3 import blake3


def hex_digest_of(data: bytes) -> str:
    """The BLAKE3-256 digest of `data` in 64 lower-case hex digits."""
    return blake3(data).hexdigest()


def keyed_digest(key: bytes, data: bytes | bytearray | memoryview) -> bytes:
    """The keyed BLAKE3-256 digest of `data`, 32 bytes; the interpreter's lock is free meanwhile."""
    return blake3(data, key=key).digest()


def derive_key(context: str, material: bytes) -> bytes:
    """32 bytes made of key material for one purpose, which `context` names for ever.

    BLAKE3's key derivation (section 2.3 of its specification): it does not stretch, so the material
    has to be as hard to guess as a key.
    """
    return blake3(material, derive_key_context=context).digest()
