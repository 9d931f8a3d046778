"""The fields of a record, read strictly: each has the type that it has to have, or is damage."""

import re
from collections.abc import Callable

from csi_zfs.datasets.api import DatasetKind, RecordCorruptError
from csi_zfs.domain.ids import HEX16_PATTERN

_HEX16 = re.compile(HEX16_PATTERN, re.ASCII)
_KINDS = {kind.value: kind for kind in DatasetKind}


class RecordFields:
    """Fields by name; every method raises the error that `corrupt` makes of its words."""

    def __init__(
        self,
        fields: object,
        *,
        keys: frozenset[str],
        corrupt: Callable[[str], RecordCorruptError],
    ) -> None:
        """Check that these are fields, and exactly `keys`."""
        self._corrupt = corrupt
        if not isinstance(fields, dict):
            raise corrupt("it is not a JSON object")
        if fields.keys() != keys:
            raise corrupt(f"its fields are not {', '.join(sorted(keys))}")
        self._fields: dict[str, object] = fields

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

    def kind(self, key: str) -> DatasetKind:
        """A kind of dataset, by its word."""
        kind = _KINDS.get(self.text(key))
        if kind is None:
            raise self._wrong(key)
        return kind

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

    def _wrong(self, key: str) -> RecordCorruptError:
        return self._corrupt(f"its field {key} is wrong")
