"""Fields of a dataclass that describe themselves: kind, default and words stand in one place."""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from typing import TypeVar

from csi_zfs.settings.kinds import Kind

T = TypeVar("T")
Written = str | int | float | bool
VARIABLE_PREFIX = "CSI_ZFS_"
_DESCRIPTION = "description"


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One setting, for the loader and for the documentation.

    Attributes:
        key: its name in the file.
        attribute: the field that holds it.
        kind: what may be written, and how it is read.
        words: what it means.
        default: what stands for a key that is left out, as one would write it in the file; None
            where there is no such text: then the setting is required, or `words` say what happens.
        is_required: whether it must be given.
    """

    key: str
    attribute: str
    kind: Kind[object]
    words: str
    default: Written | None
    is_required: bool

    @property
    def variable(self) -> str:
        """The environment variable that goes over the file."""
        return VARIABLE_PREFIX + self.key.upper()


@dataclass(frozen=True, slots=True)
class _Description:
    kind: Kind[object]
    words: str
    key: str
    default: Written | None


def described(
    kind: Kind[object], words: str, *, key: str = "", default: Written | None = None
) -> Mapping[str, object]:
    """The metadata of a field that is a setting; `key` where it is not the field's own name."""
    return {_DESCRIPTION: _Description(kind, words, key, default)}


def setting(kind: Kind[T], words: str, *, default: Written, key: str = "") -> T:
    """A field that is a setting; its default goes through the same check as a file."""
    return field(
        default=kind.parse(default), metadata=described(kind, words, key=key, default=default)
    )


def table_of(settings_class: type) -> tuple[SettingSpec, ...]:
    """The settings among the fields of a dataclass, in their order."""
    return tuple(
        SettingSpec(
            key=description.key or item.name,
            attribute=item.name,
            kind=description.kind,
            words=description.words,
            default=description.default,
            is_required=item.default is MISSING and item.default_factory is MISSING,
        )
        for item in fields(settings_class)
        if isinstance(description := item.metadata.get(_DESCRIPTION), _Description)
    )
