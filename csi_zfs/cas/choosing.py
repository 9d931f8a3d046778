"""Which manifests a user means: by the beginning of an id, by labels."""

import re
from collections.abc import Iterable, Mapping

from csi_zfs.cas.api import Manifest, ManifestNotFoundError
from csi_zfs.cas.store import Store
from csi_zfs.domain.errors import InvalidRequestError

_ID_DIGITS = 32
_BEGINNING = re.compile(r"[0-9a-f]{1,32}", re.ASCII)
_SHOWN = 4
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}", re.ASCII)
_MAX_VALUE = 200


class AmbiguousManifestError(InvalidRequestError):
    """Several manifests have ids that begin so."""


class InvalidLabelError(InvalidRequestError):
    """A label is NAME=VALUE with a name of letters, digits and `._/-`."""


def chosen_manifest(store: Store, text: str) -> Manifest:
    """The manifest whose id is `text`, or the only one whose id begins so.

    Raises `ManifestNotFoundError`, `AmbiguousManifestError`.
    """
    return store.manifest(text) if is_whole_id(text) else named_in(store.manifests(), text)


def is_whole_id(text: str) -> bool:
    """Whether this is a whole id of a manifest."""
    return len(text) == _ID_DIGITS and _BEGINNING.fullmatch(text) is not None


def named_in(manifests: Iterable[Manifest], text: str) -> Manifest:
    """The one of `manifests` whose id begins with `text`.

    Raises `ManifestNotFoundError`, `AmbiguousManifestError`.
    """
    ids = {}
    if _BEGINNING.fullmatch(text):
        ids = {one.manifest_id: one for one in manifests if one.manifest_id.startswith(text)}
    if not ids:
        raise ManifestNotFoundError(f"there is no manifest {text!r} in the store")
    if len(ids) > 1:
        shown = ", ".join(sorted(ids)[:_SHOWN]) + (", ..." if len(ids) > _SHOWN else "")
        raise AmbiguousManifestError(f"{len(ids)} manifests begin with {text}: {shown}")
    return ids.popitem()[1]


def with_labels(manifests: Iterable[Manifest], labels: Mapping[str, str]) -> list[Manifest]:
    """Those that have all of these labels."""
    return [one for one in manifests if labels.items() <= dict(one.root.labels).items()]


def parse_label(text: str) -> tuple[str, str]:
    """The name and the value of `NAME=VALUE`.  Raises `InvalidLabelError`."""
    name, separator, value = text.partition("=")
    if not separator or _LABEL.fullmatch(name) is None:
        raise InvalidLabelError(
            f"{text[:64]!r} is not NAME=VALUE, with a name of letters, digits and ._/- up to 63"
        )
    if len(value) > _MAX_VALUE or not value.isprintable():
        raise InvalidLabelError(f"the value of {name} must be printable, {_MAX_VALUE} at most")
    return name, value
