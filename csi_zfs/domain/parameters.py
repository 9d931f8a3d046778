"""The parameters of StorageClasses and VolumeSnapshotClasses: an allow-list (rules.md C2)."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field

from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.sizes import parse_size

MAX_VALUE_BYTES = 256


class UnknownParameterError(InvalidRequestError):
    """There is no parameter of this name."""


class InvalidParameterError(InvalidRequestError):
    """The value of a parameter is not one that it can have."""


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter, for the parser and for docs/reference/parameters.md.

    No `values` means free text.
    """

    name: str
    meaning: str
    values: tuple[str, ...] = ()
    default: str = ""


POOL = ParameterSpec(
    "pool",
    "The pool to use: a name or a pattern such as `fast-*`; of several, the one with most room.",
)
PROVISIONING = ParameterSpec(
    "provisioning",
    "`thick` reserves the whole size in the pool when the volume is made; `thin` takes space as it "
    "is written.",
    values=("thin", "thick"),
    default="thin",
)
ENCRYPTION = ParameterSpec(
    "encryption",
    "Whether new volumes are encrypted, each with a key of its own that is made of a Secret: "
    "`on` is `aes-256-gcm`.  A copy is encrypted as its source is.",
    values=("off", "on", "aes-256-gcm"),
    default="off",
)
SIZE = ParameterSpec(
    "size", "The size of an inline ephemeral volume, such as `2Gi`.", default="1Gi"
)
VOLUME_PARAMETERS = (POOL, PROVISIONING, ENCRYPTION)
EPHEMERAL_PARAMETERS = (SIZE, POOL, PROVISIONING, ENCRYPTION)

DEFAULT_CIPHER = "aes-256-gcm"

# The properties of OpenZFS that a class may set: none of them can reach beyond the dataset itself.
PROPERTY_PARAMETERS = frozenset(
    {
        "compression",
        "recordsize",
        "volblocksize",
        "logbias",
        "sync",
        "atime",
        "relatime",
        "xattr",
        "acltype",
    }
    | {
        "dnodesize",
        "copies",
        "primarycache",
        "secondarycache",
        "special_small_blocks",
        "checksum",
        "dedup",
    }
    | {
        "redundant_metadata",
        "snapdir",
        "casesensitivity",
        "normalization",
        "utf8only",
        "refreservation",
    }
)

# Sidecars and the kubelet add facts under these prefixes; they describe the request and choose
# nothing.
METADATA_PREFIXES = ("csi.storage.k8s.io/", "storage.kubernetes.io/")


_CIPHERS = {"off": "", "on": DEFAULT_CIPHER, DEFAULT_CIPHER: DEFAULT_CIPHER}


@dataclass(frozen=True, slots=True)
class VolumeParameters:
    """What a StorageClass asks for, checked.

    `given` holds the parameters as written, without metadata; `cipher` is empty where `encryption`
    is off.
    """

    pool_pattern: str = ""
    is_thick: bool = False
    cipher: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)


def parse_volume_parameters(parameters: Mapping[str, str]) -> VolumeParameters:
    """Check a StorageClass's parameters.

    Raises `UnknownParameterError`, `InvalidParameterError`.
    """
    return _parse(parameters, VOLUME_PARAMETERS)


def parse_ephemeral_parameters(parameters: Mapping[str, str]) -> tuple[VolumeParameters, int]:
    """Check an inline volume's attributes: as `parse_volume_parameters`, and the size in bytes."""
    size_bytes = parse_size(parameters.get(SIZE.name, SIZE.default))
    if size_bytes == 0:
        msg = f"parameter {SIZE.name}: a volume of no bytes cannot be made"
        raise InvalidParameterError(msg)
    return _parse(parameters, EPHEMERAL_PARAMETERS), size_bytes


def parse_mutable_parameters(parameters: Mapping[str, str]) -> Mapping[str, str]:
    """Check a VolumeAttributesClass's parameters: properties only."""
    given = without_metadata(parameters)
    for name, value in given.items():
        _check_known(name, PROPERTY_PARAMETERS)
        _check_text(name, value)
    return given


def refuse_parameters(parameters: Mapping[str, str]) -> None:
    """Check the parameters of a class that has none of its own (snapshots, groups)."""
    for name in without_metadata(parameters):
        _check_known(name, frozenset())


def without_metadata(parameters: Mapping[str, str]) -> dict[str, str]:
    """The parameters that somebody chose, without what sidecars add."""
    return {
        name: value for name, value in parameters.items() if not name.startswith(METADATA_PREFIXES)
    }


def _parse(parameters: Mapping[str, str], specs: tuple[ParameterSpec, ...]) -> VolumeParameters:
    given = without_metadata(parameters)
    known = {spec.name: spec for spec in specs}
    for name, value in given.items():
        _check_known(name, known.keys() | PROPERTY_PARAMETERS)
        _check_text(name, value)
        if name in known and known[name].values and value not in known[name].values:
            msg = f"parameter {name}: {value[:64]!r} is not one of {', '.join(known[name].values)}"
            raise InvalidParameterError(msg)
    return VolumeParameters(
        pool_pattern=given.get(POOL.name, ""),
        is_thick=given.get(PROVISIONING.name, PROVISIONING.default) == "thick",
        cipher=_CIPHERS[given.get(ENCRYPTION.name, ENCRYPTION.default)],
        properties={name: value for name, value in given.items() if name in PROPERTY_PARAMETERS},
        given=given,
    )


def _check_known(name: str, known: frozenset[str] | set[str]) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = (
        f": did you mean {near[0]!r}?"
        if near
        else f"; there are: {', '.join(sorted(known)) or 'none'}"
    )
    msg = f"there is no parameter {name[:64]!r}{hint}"
    raise UnknownParameterError(msg)


def _check_text(name: str, value: str) -> None:
    if not value or not value.isprintable() or len(value.encode()) > MAX_VALUE_BYTES:
        msg = f"parameter {name}: the value must be 1 to {MAX_VALUE_BYTES} bytes of printable text"
        raise InvalidParameterError(msg)
