"""AES-256-GCM with counted nonces: the one cipher of the store."""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES = 32
TAG_BYTES = 16
_NONCE_BYTES = 12


class AuthenticationError(Exception):
    """The bytes, or what they are bound to, are not what was sealed; callers say of which object.

    Never leaves this package.
    """


class Cipher:
    """One key, under which every counter seals one message.  Thread-safe.

    The caller never uses a counter twice: with a key made for one object, counting its messages is
    enough (NIST SP 800-38D, section 8.2.1).
    """

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)

    def seal(self, counter: int, plain: bytes, associated: bytes) -> bytes:
        """Encrypt; the result is `TAG_BYTES` longer."""
        return self._aead.encrypt(_nonce(counter), plain, associated)

    def seal_into(self, counter: int, plain: bytes, associated: bytes, into: memoryview) -> None:
        """Encrypt into a buffer of exactly the length of the result."""
        self._aead.encrypt_into(_nonce(counter), plain, associated, into)

    def open(self, counter: int, sealed: bytes | memoryview, associated: bytes) -> bytes:
        """Decrypt what was sealed with this counter and these associated bytes.

        Raises `AuthenticationError`.
        """
        try:
            return self._aead.decrypt(_nonce(counter), sealed, associated)
        except InvalidTag as exc:
            raise AuthenticationError from exc


def _nonce(counter: int) -> bytes:
    return counter.to_bytes(_NONCE_BYTES, "little")
