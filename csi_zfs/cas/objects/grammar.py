"""How the key of an object is written, the same on every storage."""

import re

from csi_zfs.domain.errors import InvalidRequestError

# A word begins with a letter or digit: "." and ".." are none, and names with a dot in front are
# free for what a storage keeps for itself.  Shorter than S3 (1,024) and file systems (255) allow.
MOST_WORDS = 8
_WORD = "[a-z0-9][a-z0-9._-]{0,99}"
_WORDS = re.compile(f"{_WORD}(?:/{_WORD}){{0,{MOST_WORDS - 1}}}", re.ASCII)
_PREFIX = re.compile(f"(?:{_WORD}/){{0,{MOST_WORDS - 1}}}", re.ASCII)
_NAME = re.compile(_WORD, re.ASCII)


class InvalidKeyError(InvalidRequestError):
    """This cannot be the key of an object."""


def require_key(key: str) -> str:
    """The key; raises `InvalidKeyError` where it is none."""
    if _WORDS.fullmatch(key) is None:
        raise InvalidKeyError(
            f"{key!r} is no key of an object: words of [a-z0-9._-] with / between"
        )
    return key


def require_prefix(prefix: str) -> str:
    """What keys can begin with, `""` for all of them; raises `InvalidKeyError`."""
    if _PREFIX.fullmatch(prefix) is None:
        raise InvalidKeyError(
            f"{prefix!r} is no beginning of keys: words of [a-z0-9._-], each with /"
        )
    return prefix


def is_word(name: str) -> bool:
    """Whether this can be a part of a key."""
    return _NAME.fullmatch(name) is not None
