"""Our values as pyzfs takes and gives them: texts and keys are bytes, whole numbers unsigned."""

from collections.abc import Callable, Iterable, Mapping

from csi_zfs.zfs.lzc import ProgramValue


def to_bytes(text: str) -> bytes:
    """A text for C; raises `ValueError` for one with a NUL, which C would cut off there."""
    if "\0" in text:
        raise ValueError("a text for OpenZFS holds a NUL")
    return text.encode(errors="surrogateescape")


def to_nvlist(
    values: Mapping[str, object], *, number: Callable[[int], object] = int
) -> dict[bytes, object]:
    """A mapping for `nvlist_in`; `number` makes a C number of another type than pyzfs's uint64."""

    def convert(value: object) -> object:
        match value:
            case str():
                return to_bytes(value)
            case bool():
                return value
            case int():
                return number(value)
            case dict() | []:  # an nvlist has no empty array; to Lua both are an empty table
                return to_nvlist(dict(value), number=number)
            case list():
                return [convert(item) for item in value]
            case _:
                return value

    return {to_bytes(key): convert(value) for key, value in values.items()}


def set_of(names: Iterable[str]) -> dict[bytes, None]:
    """An nvlist that is a set."""
    return {to_bytes(name): None for name in names}


def from_nvlist(value: object) -> ProgramValue:
    """What `nvlist_out` gave."""
    match value:
        case bytes():
            return value.decode(errors="surrogateescape")
        case dict():
            return {_text(key): from_nvlist(item) for key, item in value.items()}
        case list():
            return [from_nvlist(item) for item in value]
        case None | bool() | int():
            return value
        case _:
            raise TypeError(f"OpenZFS gave a {type(value).__name__}")


def errno_of(failed: Mapping[bytes, object]) -> dict[str, int]:
    """The errno of each name in a list of errors; how many more there were is left out."""
    return {
        _text(name): number
        for name, number in failed.items()
        if isinstance(number, int) and name != b"N_MORE_ERRORS"
    }


def _text(name: bytes) -> str:
    return name.decode(errors="surrogateescape")
