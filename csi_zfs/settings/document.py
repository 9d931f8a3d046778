"""What a settings file says, whatever its language."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from csi_zfs.settings.problems import Problem

Keys = tuple[str | int, ...]
_SHOWN = 64


@dataclass(frozen=True, slots=True)
class Document:
    """Values by key, and the line of each path of keys where that is known."""

    source: str = "settings"
    values: Mapping[str, object] = field(default_factory=dict)
    lines: Mapping[Keys, int] = field(default_factory=dict)

    def problem(self, keys: Keys, message: str) -> Problem:
        """A mistake at a path of keys, with the line of the innermost one that is known."""
        known = (self.lines.get(keys[:length]) for length in range(len(keys), 0, -1))
        line = next((line for line in known if line is not None), None)
        return Problem(_written(keys), line, message, self.source)


def _written(keys: Keys) -> str:
    parts = (f"[{key}]" if isinstance(key, int) else f".{_printable(key[:_SHOWN])}" for key in keys)
    return "".join(parts).removeprefix(".")


def _printable(key: str) -> str:
    return key if key.isprintable() else repr(key)
