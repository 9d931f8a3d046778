"""JSON in the store: one text for one value, and fields that are what they have to be."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from csi_zfs.cas.api import StoreCorruptError, UnknownFormatError
from csi_zfs.domain.errors import InvalidRequestError

FORMAT = 1
MAX_DOCUMENT_BYTES = 1 << 20


def encode(fields: Mapping[str, object]) -> bytes:
    """The one text of these fields and the format's number.

    Raises `InvalidRequestError` where it would be too long to be read again.
    """
    data = json.dumps(
        {"format": FORMAT, **fields}, sort_keys=True, separators=(",", ":"), ensure_ascii=True
    ).encode()
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InvalidRequestError(
            f"an object of the store would have {len(data)} bytes, and {MAX_DOCUMENT_BYTES} at most"
            " are read: labels take them, or the names of very many packs"
        )
    return data


@dataclass(frozen=True, slots=True)
class Document:
    """The fields of an object that was read; every reader raises `StoreCorruptError`."""

    key: str
    fields: Mapping[str, object]

    def text(self, name: str) -> str:
        """A string."""
        value = self.fields[name]
        if not isinstance(value, str):
            raise self.damaged(f"its {name} is no text")
        return value

    def number(self, name: str) -> int:
        """A whole number from 0 to 2**63 - 1."""
        value = self.fields[name]
        if type(value) is not int or not 0 <= value < 1 << 63:
            raise self.damaged(f"its {name} is no such number")
        return value

    def raw(self, name: str, length: int) -> bytes:
        """Bytes, written as lower-case hex digits."""
        text = self.text(name)
        try:
            value = bytes.fromhex(text)
        except ValueError as exc:
            raise self.damaged(f"its {name} is not of hex digits") from exc
        if len(value) != length or value.hex() != text:
            raise self.damaged(f"its {name} does not have {2 * length} hex digits")
        return value

    def texts(self, name: str) -> list[str]:
        """A list of strings."""
        value = self.fields[name]
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise self.damaged(f"its {name} is no list of texts")
        return value

    def text_map(self, name: str) -> dict[str, str]:
        """Strings by string."""
        value = self.fields[name]
        if not isinstance(value, dict) or not all(isinstance(one, str) for one in value.values()):
            raise self.damaged(f"its {name} is no map of texts")
        return value

    def part(self, name: str, names: frozenset[str]) -> "Document":
        """Fields of a field."""
        value = self.fields[name]
        if not isinstance(value, dict) or value.keys() != names:
            raise self.damaged(f"its {name} has not the fields that it has to have")
        return Document(self.key, value)

    def damaged(self, why: str) -> StoreCorruptError:
        """The error that says so."""
        return StoreCorruptError(f"{self.key} is damaged: {why}")


def parse(key: str, data: bytes, names: frozenset[str]) -> Document:
    """Read the object under `key`, which has exactly these fields, `format` among them.

    Raises `StoreCorruptError`, also for another text of the same value: so every bit counts; and
    `UnknownFormatError` for a format of the future.
    """
    empty = Document(key, {})
    if len(data) > MAX_DOCUMENT_BYTES:
        raise empty.damaged("it is longer than any such object")
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise empty.damaged("it is no JSON") from exc
    if not isinstance(fields, dict) or type(fields.get("format")) is not int:
        raise empty.damaged("it names no format")
    if fields["format"] > FORMAT:
        raise UnknownFormatError(
            f"{key} has format {fields['format']}, and this program knows up to {FORMAT}:"
            " use a newer one"
        )
    if fields.keys() != names or fields["format"] != FORMAT:
        raise empty.damaged("it has not the fields that it has to have")
    if encode(fields) != data:
        raise empty.damaged("it is not written as such an object is")
    return Document(key, fields)
