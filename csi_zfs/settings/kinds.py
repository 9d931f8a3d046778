"""The kinds of settings: what a person may write, and how that is checked and read.

What a `parse` raises completes a sentence that begins with the setting's name, and never repeats a
value of unlimited length.
"""

import enum
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from csi_zfs.domain.errors import InvalidRequestError

T_co = TypeVar("T_co", covariant=True)
ChoiceT = TypeVar("ChoiceT", bound=enum.StrEnum)

_SHOWN = 64
_TYPE_NAMES = {
    bool: "true or false",
    dict: "a table",
    float: "a fraction",
    int: "a number",
    list: "a list",
    str: "text",
    type(None): "nothing",
}


class InvalidValueError(InvalidRequestError):
    """The value is not one that the setting can have."""


@dataclass(frozen=True, slots=True)
class Kind(Generic[T_co]):
    """A kind of setting.

    Attributes:
        what: what to write, for people: "a whole number from 1 to 256".
        parse: reads a value of the file; raises `InvalidRequestError`.
        from_text: the value that the file would hold, for the text of an environment variable.
    """

    what: str
    parse: Callable[[object], T_co]
    from_text: Callable[[str], object] = str


def wrong_type(what: str, value: object) -> InvalidValueError:
    """The error for a value that is not even of the right type."""
    found = _TYPE_NAMES.get(type(value), f"a {type(value).__name__}")
    return InvalidValueError(f"must be {what}, not {found}")


def require_text(what: str, value: object) -> str:
    """The value, which must be text."""
    if not isinstance(value, str):
        raise wrong_type(what, value)
    return value


def unlike(what: str, text: str) -> InvalidValueError:
    """The error for text of the wrong form."""
    return InvalidValueError(f"{text[:_SHOWN]!r} is not {what}")


def text_like(what: str, pattern: str) -> Kind[str]:
    """Text that matches a pattern as a whole."""
    grammar = re.compile(pattern, re.ASCII)

    def parse(value: object) -> str:
        text = require_text(what, value)
        if grammar.fullmatch(text) is None:
            raise unlike(what, text)
        return text

    return Kind(what, parse)


def absolute_path(what: str, max_bytes: int) -> Kind[Path]:
    """A printable path below the root, without `..`, of at most `max_bytes` bytes."""
    what = f"{what}, absolute and without '..', of at most {max_bytes} bytes"

    def parse(value: object) -> Path:
        text = require_text(what, value)
        below_root = text.lstrip("/")
        if below_root in {"", text} or ".." in text.split("/") or not text.isprintable():
            raise unlike(what, text)
        # POSIX gives exactly two leading slashes a meaning of their own, and pathlib keeps them.
        path = Path("/" + below_root)
        if (length_bytes := len(str(path).encode())) > max_bytes:
            raise InvalidValueError(f"has {length_bytes} bytes: it may have {max_bytes}")
        return path

    return Kind(what, parse)


def number(low: float, high: float) -> Kind[float]:
    """A number from `low` to `high`, both included."""
    what = f"a number from {low:g} to {high:g}"

    def parse(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise wrong_type(what, value)
        if not low <= value <= high:
            raise InvalidValueError(f"must be {what}")
        return float(value)

    return Kind(what, parse, from_text=_number_in)


def whole_number(low: int, high: int) -> Kind[int]:
    """A whole number from `low` to `high`, both included."""
    what = f"a whole number from {low} to {high}"

    def parse(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise wrong_type(what, value)
        if not low <= value <= high:
            raise InvalidValueError(f"must be {what}")
        return value

    return Kind(what, parse, from_text=_number_in)


def _number_in(text: str) -> object:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text  # which `parse` then refuses, with better words


def _parse_yes_or_no(value: object) -> bool:
    if not isinstance(value, bool):
        raise wrong_type(YES_OR_NO.what, value)
    return value


_WRITTEN_BOOLEANS = {"true": True, "false": False}
YES_OR_NO = Kind(
    "true or false", _parse_yes_or_no, from_text=lambda text: _WRITTEN_BOOLEANS.get(text, text)
)


def choice(values: type[ChoiceT]) -> Kind[ChoiceT]:
    """One of the values of an enumeration."""
    by_text = {str(value): value for value in values}
    what = f"one of {', '.join(by_text)}"

    def parse(value: object) -> ChoiceT:
        text = require_text(what, value)
        if text not in by_text:
            raise unlike(what, text)
        return by_text[text]

    return Kind(what, parse)
