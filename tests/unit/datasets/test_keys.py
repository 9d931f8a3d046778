"""How a wrapping key is made: the same one for ever, of the same secret and salt."""

import re

import pytest

from csi_zfs.datasets.keys import WRAPPING_KEY_BYTES, WrappingKey, new_salt, wrapping_key_of

SALT = "00112233445566778899aabbccddeeff"


def test_wrapping_key_is_the_one_that_volumes_were_made_with() -> None:
    """Another one would lock out whoever has a volume of today."""
    key = wrapping_key_of("a secret", "00" * 16)
    assert key.raw.hex() == "c946bafe1fb8f6fb2c2695f5e96adf3eb634debae6207b6f255e5bc467c401e4"
    assert len(key.raw) == WRAPPING_KEY_BYTES


@pytest.mark.parametrize(
    ("secret", "salt"), [("a secreu", SALT), ("a secret", SALT[::-1]), ("", SALT), ("ä", SALT)]
)
def test_another_secret_or_salt_makes_another_key(secret: str, salt: str) -> None:
    assert wrapping_key_of(secret, salt) != wrapping_key_of("a secret", SALT)


def test_salts_are_random() -> None:
    salts = {new_salt() for _ in range(64)}
    assert len(salts) == 64
    assert all(re.fullmatch("[0-9a-f]{32}", salt) for salt in salts)


def test_key_is_not_shown() -> None:
    """rules.md C5."""
    assert "k" * 8 not in repr(WrappingKey(b"k" * 32))
