"""The form of every small file that the pool keeps: one line of JSON, then its digest.

The digest finds what a torn write or an editor did; the fields are then read strictly, by type.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from csi_zfs.datasets.api import RecordCorruptError, RecordTooLargeError
from csi_zfs.domain.ids import HEX16_PATTERN
from csi_zfs.system.digest import hex_digest_of

VERSION = 1
MAX_BYTES = 4 * 1024 * 1024

_HEX16 = re.compile(HEX16_PATTERN, re.ASCII)
# Made once: `json.dumps` with options makes an encoder at each call.
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


def seal(fields: Mapping[str, object]) -> bytes:
    """The content of a file with these fields; raises `RecordTooLargeError` above `MAX_BYTES`."""
    line = _encode({"version": VERSION, **fields}).encode()
    data = line + b'\n{"blake3":"' + hex_digest_of(line).encode() + b'"}\n'
    if len(data) > MAX_BYTES:
        raise RecordTooLargeError(f"a record of {len(data)} bytes is above {MAX_BYTES} bytes")
    return data


class SealedFields:
    """The fields of a sealed file; every method raises `RecordCorruptError`, naming the file."""

    def __init__(self, data: bytes, *, path: Path | str, keys: frozenset[str]) -> None:
        """Check the digest, the version, and that exactly `keys` are there."""
        self._path = path
        line, _, rest = data.partition(b"\n")
        if rest != b'{"blake3":"' + hex_digest_of(line).encode() + b'"}\n':
            raise self._corrupt("its digest does not fit its content")
        fields = self._loaded(line)
        if fields.pop("version", None) != VERSION:
            raise self._corrupt(f"its version is not {VERSION}")
        if fields.keys() != keys:
            raise self._corrupt(f"its fields are not {', '.join(sorted(keys))}")
        self._fields = fields

    def text(self, key: str) -> str:
        """A text."""
        value = self._fields[key]
        if not isinstance(value, str):
            raise self._wrong(key)
        return value

    def hex16(self, key: str) -> str:
        """A text of 16 hex digits."""
        value = self.text(key)
        if _HEX16.fullmatch(value) is None:
            raise self._wrong(key)
        return value

    def number(self, key: str) -> int:
        """A whole number that is not negative."""
        value = self._fields[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(key)
        return value

    def flag(self, key: str) -> bool:
        """True or false."""
        value = self._fields[key]
        if not isinstance(value, bool):
            raise self._wrong(key)
        return value

    def texts(self, key: str) -> list[str]:
        """A list of texts."""
        value = self._fields[key]
        if not isinstance(value, list):
            raise self._wrong(key)
        texts = [item for item in value if isinstance(item, str)]
        if len(texts) != len(value):
            raise self._wrong(key)
        return texts

    def hex16s(self, key: str) -> list[str]:
        """A list of texts of 16 hex digits."""
        values = self.texts(key)
        if not all(_HEX16.fullmatch(value) for value in values):
            raise self._wrong(key)
        return values

    def text_map(self, key: str) -> dict[str, str]:
        """Texts by text."""
        value = self._fields[key]
        if not isinstance(value, dict):
            raise self._wrong(key)
        texts = {name: item for name, item in value.items() if isinstance(item, str)}
        if len(texts) != len(value):
            raise self._wrong(key)
        return texts

    def _loaded(self, line: bytes) -> dict[str, object]:
        try:
            fields = json.loads(line)
        except ValueError as exc:
            raise self._corrupt("it is not JSON") from exc
        if not isinstance(fields, dict):
            raise self._corrupt("it is not a JSON object")
        return fields

    def _wrong(self, key: str) -> RecordCorruptError:
        return self._corrupt(f"its field {key} is wrong")

    def _corrupt(self, why: str) -> RecordCorruptError:
        return RecordCorruptError(f"{self._path} cannot be read: {why}")
