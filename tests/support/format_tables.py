"""Bytes and documents taken apart by the tables of docs/reference/formats.md, and by nothing else.

The page says how its tables are to be read.
"""

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "formats.md"
_BYTES = ["offset", "bytes", "field", "holds", "what"]
_DOCUMENT = ["field", "holds", "what"]
_WORDS = re.compile(r"`([^`]*)`")

Row = dict[str, str]
Value = int | bytes | list["Fields"]
_Any = TypeVar("_Any")


class Fields(dict[str, Value]):
    """What a table's fields hold; the readers fail where it is of another type."""

    def number(self, name: str) -> int:
        value = self[name]
        assert isinstance(value, int)
        return value

    def raw(self, name: str) -> bytes:
        value = self[name]
        assert isinstance(value, bytes)
        return value

    def parts(self, name: str) -> list["Fields"]:
        value = self[name]
        assert isinstance(value, list)
        return value


class FormatError(AssertionError):
    """The bytes are not what the page says, or the page contradicts itself."""


@dataclass(frozen=True)
class _Table:
    heading: str
    columns: list[str]
    rows: list[Row]


@dataclass
class Page:
    """The tables of a page, and which of their fields were met with something in them."""

    byte_tables: dict[str, list[Row]] = field(default_factory=dict)
    documents: dict[str, list[Row]] = field(default_factory=dict)
    # All others, by the name of their first column.
    lists: dict[str, list[Row]] = field(default_factory=dict)
    met: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def read(cls, text: str) -> "Page":
        """Read the tables of a page."""
        page = cls()
        for table in _tables(text):
            if table.columns == _BYTES:
                page.byte_tables[table.heading] = table.rows
            elif table.columns == _DOCUMENT:
                page.documents[table.heading] = table.rows
            else:
                page.lists.setdefault(table.columns[0], []).extend(table.rows)
        return page

    def fields(self) -> Iterator[tuple[str, str]]:
        """Every field of every table, and every word that a document's field may have."""
        for name, rows in (self.byte_tables | self.documents).items():
            yield from ((name, row["field"].strip("`")) for row in rows)
        for name, rows in self.documents.items():
            for row in rows:
                label = row["field"].strip("`")
                yield from ((name, f"{label} {word}") for word in _words_of(row["holds"]))

    # --- bytes ---

    def parse(self, name: str, data: bytes) -> Fields:
        """One table that takes all of these bytes."""
        fields, end = self._parse(name, data)
        if end != len(data):
            raise FormatError(f"{len(data) - end} bytes are left behind {name}")
        return fields

    def parse_list(self, name: str, data: bytes) -> list[Fields]:
        """One table after the other, to the end of these bytes."""
        found = []
        while data:
            fields, end = self._parse(name, data)
            found.append(fields)
            data = data[end:]
        return found

    def _parse(self, name: str, data: bytes) -> tuple[Fields, int]:
        fields = Fields()
        rows = self.byte_tables[name]
        at_end = [row for row in rows if row["offset"].startswith("-")]
        for row in at_end:
            at = len(data) + int(row["offset"])
            self._take(name, row, data[at : at + int(row["bytes"])], fields)
        at, limit = 0, len(data) - sum(int(row["bytes"]) for row in at_end)
        for row in rows:
            if row in at_end:
                continue
            if row["offset"] not in {"", str(at)}:
                raise FormatError(f"{name}: {row['field']} is at {at}, not at {row['offset']}")
            size = _length(row["bytes"], fields, whole=len(data), left=limit - at)
            if not 0 <= size <= limit - at:
                raise FormatError(f"{name} ends within {row['field']}")
            self._take(name, row, data[at : at + size], fields)
            at += size
        return fields, len(data) if at_end and at == limit else at

    def _take(self, name: str, row: Row, data: bytes, fields: Fields) -> None:
        label = row["field"].strip("`")
        fields[label] = self._value(row["holds"], data, f"{name}: {label}")
        if data:
            self.met.add((name, label))

    def _value(self, holds: str, data: bytes, where: str) -> Value:
        first, _, name = holds.partition(" ")
        number = int.from_bytes(data, "little", signed=holds == "signed")
        found: Value = number
        if first == "one":
            found = [self.parse(name, data)]
        elif first == "list":
            found = self.parse_list(name.removeprefix("of "), data)
        elif holds == "bytes":
            found = data
        elif holds.startswith('"'):
            found = _same(holds.strip('"').encode(), data, where)
        elif holds not in {"number", "signed"}:
            _same(0 if holds == "zero" else int(holds), number, where)
        return found

    # --- documents ---

    def parse_document(self, name: str, data: bytes) -> dict[str, Any]:
        """A document of this table, in its one form."""
        fields: dict[str, Any] = json.loads(data)
        text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        _same(data, text.encode(), name)
        self._check_document(name, fields)
        return fields

    def _check_document(self, name: str, fields: Mapping[str, object]) -> None:
        rows = self.documents[name]
        _same({row["field"].strip("`") for row in rows}, set(fields), name)
        for row in rows:
            label = row["field"].strip("`")
            self._check(name, label, row["holds"], fields[label])
            self.met.add((name, label))

    def _check(self, name: str, label: str, holds: str, value: object) -> None:
        where = f"{name}: {label}"
        if holds.startswith("one "):
            if value != {}:
                assert isinstance(value, dict), where
                self._check_document(holds.removeprefix("one ").partition(",")[0], value)
        elif words := _words_of(holds):
            assert value in words, f"{where} is {value!r}"
            self.met.add((name, f"{label} {value}"))
        else:
            assert _is(holds, value), f"{where} is {value!r}, not {holds}"


def _is(holds: str, value: object) -> bool:
    match holds.split():
        case ["number"]:
            return type(value) is int and 0 <= value < 1 << 63
        case ["text"]:
            return isinstance(value, str)
        case ["hex", count]:
            return isinstance(value, str) and _is_hex(value, int(count))
        case ["list", "of", *rest]:
            one = " ".join(rest).replace("texts", "text")
            return isinstance(value, list) and all(_is(one, part) for part in value)
        case ["map", "of", "texts"]:
            return isinstance(value, dict) and _is("list of texts", [*value, *value.values()])
    return type(value) is int and value == int(holds)


def _is_hex(text: str, count: int) -> bool:
    return re.fullmatch(f"[0-9a-f]{{{2 * count}}}", text) is not None


def _words_of(holds: str) -> list[str]:
    return [] if holds.startswith("one ") else _WORDS.findall(holds)


def _same(expected: _Any, found: _Any, where: str) -> _Any:
    if found != expected:
        raise FormatError(f"{where} is {found!r}, not {expected!r}")
    return found


def _length(formula: str, fields: Fields, *, whole: int, left: int) -> int:
    if formula == "*":
        return left
    numbers = {name: value for name, value in fields.items() if isinstance(value, int)}
    code = compile(ast.parse(formula, mode="eval"), formula, "eval")
    try:
        return int(eval(code, {"__builtins__": {}}, numbers | {"all": whole}))
    except NameError as exc:
        raise FormatError(f"there is no such field: {formula}") from exc


def _tables(text: str) -> Iterator[_Table]:
    heading, lines = "", [*text.splitlines(), ""]
    block: list[list[str]] = []
    for line, following in pairwise(lines):
        if line.startswith("#"):
            heading = line.lstrip("# ").lower()
        if not line.startswith("|"):
            continue
        block.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        if not following.startswith("|"):
            columns, _, *rows = block
            found = [dict(zip(columns, row, strict=True)) for row in rows]
            yield _Table(heading, columns, found)
            block = []
