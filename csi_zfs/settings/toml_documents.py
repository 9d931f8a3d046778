"""TOML, with lines: tomllib keeps none, so they are looked for in the text."""

import re
import tomllib
from collections import Counter

from csi_zfs.settings.document import Document, Keys
from csi_zfs.settings.problems import SettingsError

_HEADER = re.compile(r"\s*\[(?P<is_array>\[?)\s*(?P<name>[A-Za-z0-9_-]+)\s*\]")
_ASSIGNMENT = re.compile(r"""\s*(?P<quote>["']?)(?P<key>[A-Za-z0-9_-]+)(?P=quote)\s*=""")


def parse_toml(text: str, source: str) -> Document:
    """Read TOML; raises `SettingsError`, whose words give the line."""
    try:
        values = tomllib.loads(text)
    except ValueError as exc:  # besides TOMLDecodeError: impossible dates, endless numbers
        raise SettingsError.of_file(source, f"is not TOML: {exc}") from exc
    return Document(source, values, _lines_of(text))


def _lines_of(text: str) -> dict[Keys, int]:
    # Good enough line by line: a wrong guess, in a text of several lines, only misplaces a message.
    lines: dict[Keys, int] = {}
    table: Keys = ()
    tables: Counter[str] = Counter()
    for line, content in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(content):
            name = header["name"]
            table = (name, tables[name]) if header["is_array"] else (name,)
            tables[name] += 1
            lines.setdefault((name,), line)
            lines.setdefault(table, line)
        elif assignment := _ASSIGNMENT.match(content):
            lines.setdefault((*table, assignment["key"]), line)
    return lines
