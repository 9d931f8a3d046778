"""The native properties that a class may set (rules.md C2), checked before anything runs.

Two forms of what somebody wrote: the kernel's numbers, for libzfs_core, and the canonical texts of
`zfs get -p`, to be kept, compared, and given to `zfs set`.
"""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from csi_zfs.datasets.api import DatasetKind, UnsupportedFeatureError
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.zfs import property_values as values
from csi_zfs.zfs.property_values import PropertyValues


class UnknownPropertyError(UnsupportedFeatureError):
    """Datasets of this kind have no property of this name that a class may set."""


class FixedPropertyError(UnsupportedFeatureError):
    """The property is chosen when an empty dataset is made, and never changes."""


class InvalidPropertyError(InvalidRequestError):
    """The value is not one that the native property can have."""


@dataclass(frozen=True, slots=True)
class _Property:
    allowed: PropertyValues
    is_mutable: bool = True


# What OpenZFS calls set-once is fixed: its kernel would store another value of it without a word,
# also at a clone, and not use it.
_OF_BOTH = {
    "checksum": _Property(values.CHECKSUM),
    "compression": _Property(values.COMPRESSION),
    "copies": _Property(values.COPIES),
    "dedup": _Property(values.DEDUP),
    "encryption": _Property(values.ENCRYPTION, is_mutable=False),
    "logbias": _Property(values.LOGBIAS),
    "primarycache": _Property(values.CACHE),
    "redundant_metadata": _Property(values.REDUNDANT_METADATA),
    "refreservation": _Property(values.REFRESERVATION),
    "secondarycache": _Property(values.CACHE),
    "sync": _Property(values.SYNC),
}
_PROPERTIES: Mapping[DatasetKind, Mapping[str, _Property]] = {
    DatasetKind.ZVOL: _OF_BOTH | {"volblocksize": _Property(values.VOLBLOCKSIZE, is_mutable=False)},
    DatasetKind.FILESYSTEM: _OF_BOTH
    | {
        "acltype": _Property(values.ACLTYPE),
        "atime": _Property(values.ON_OFF),
        "casesensitivity": _Property(values.CASE_SENSITIVITY, is_mutable=False),
        "dnodesize": _Property(values.DNODESIZE),
        "normalization": _Property(values.NORMALIZATION, is_mutable=False),
        "recordsize": _Property(values.RECORDSIZE),
        "relatime": _Property(values.ON_OFF),
        "snapdir": _Property(values.SNAPDIR),
        "special_small_blocks": _Property(values.SPECIAL_SMALL_BLOCKS),
        "utf8only": _Property(values.ON_OFF, is_mutable=False),
        "xattr": _Property(values.XATTR),
    },
}


def creation_properties(kind: DatasetKind) -> frozenset[str]:
    """What can be chosen when a dataset of this kind is made."""
    return frozenset(_PROPERTIES[kind])


def mutable_properties(kind: DatasetKind) -> frozenset[str]:
    """Those of them that can be changed later, and at a clone."""
    return frozenset(name for name, known in _PROPERTIES[kind].items() if known.is_mutable)


def property_values(kind: DatasetKind, name: str) -> PropertyValues:
    """What values a property of this kind can have; raises `UnknownPropertyError`."""
    return _property(kind, name).allowed


def kernel_properties(kind: DatasetKind, properties: Mapping[str, str]) -> dict[str, int]:
    """The kernel's numbers, for a new and empty dataset.

    Raises `UnknownPropertyError`, `InvalidPropertyError`.
    """
    numbers = {name: _number(kind, name, text) for name, text in properties.items()}
    if numbers.get("normalization") and numbers.get("utf8only") == 0:
        # The kernel would turn utf8only on without a word.
        raise InvalidPropertyError("property utf8only: normalization needs it on")
    return numbers


def require_compatible(properties: Mapping[str, str]) -> None:
    """Raise `InvalidPropertyError` for what a dataset cannot have together."""
    if "encryption" in properties and properties.get("copies") == "3":
        # The kernel takes it, and has no room for a third copy: `zfs` is who refuses it.
        raise InvalidPropertyError("property copies: an encrypted dataset has at most 2")


def kernel_properties_of_clone(kind: DatasetKind, properties: Mapping[str, str]) -> dict[str, int]:
    """As `kernel_properties`, for a clone; also raises `FixedPropertyError`.

    What is fixed is its origin's: compare with that, and leave it out.
    """
    require_mutable(kind, properties)
    return kernel_properties(kind, properties)


def canonical_properties(kind: DatasetKind, properties: Mapping[str, str]) -> dict[str, str]:
    """The texts that `zfs get -p` prints for these; raises as `kernel_properties` does."""
    numbers = kernel_properties(kind, properties)
    return {name: _PROPERTIES[kind][name].allowed.text_of(numbers[name]) for name in numbers}


def require_mutable(kind: DatasetKind, names: Iterable[str]) -> None:
    """Raise `FixedPropertyError` or `UnknownPropertyError` for what cannot be changed."""
    for name in names:
        if not _property(kind, name).is_mutable:
            raise FixedPropertyError(
                f"property {name} is chosen when an empty dataset is made, and never changes"
            )


def _property(kind: DatasetKind, name: str) -> _Property:
    known = _PROPERTIES[kind]
    if name in known:
        return known[name]
    what = "a zvol" if kind is DatasetKind.ZVOL else "a file system"
    near = difflib.get_close_matches(name[:64], known, n=1)
    hint = f": did you mean {near[0]!r}?" if near else f"; there are: {', '.join(sorted(known))}"
    raise UnknownPropertyError(f"{what} has no property {name[:64]!r} that may be set{hint}")


def _number(kind: DatasetKind, name: str, text: str) -> int:
    known = _property(kind, name).allowed
    number = known.number_of(text)
    if number is not None:
        return number
    near = difflib.get_close_matches(text[:64], known.words, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"it can be {known.grammar}"
    raise InvalidPropertyError(f"property {name}: {text[:64]!r} is no value of it: {hint}")
