"""What was asked of this node for each volume: where it is staged and published, and how.

What *is* mounted stands in the kernel's mount table; this remembers the arguments, which the table
cannot tell (the access mode, above all), and devices that are still attached though nothing is
mounted.  A document is written before its mount is made and removed after the mount is gone, so
that a crash leaves too much knowledge, never too little. It lives in the node's state directory,
not on the pool: it says something about the node.
"""

import json
import logging
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from csi_zfs.domain.capabilities import AccessMode, AccessType, VolumeCapability
from csi_zfs.domain.errors import CorruptionError, InvalidRequestError, UnavailableError

log = logging.getLogger(__name__)
T = TypeVar("T")


class NodeStateCorruptError(CorruptionError):
    """A document of the state directory cannot be read."""


class StateStore(Protocol):
    """Small durable documents by key (system/state_files.py)."""

    def load(self) -> Iterator[tuple[str, bytes]]:
        """All documents."""

    def save(self, key: str, data: bytes) -> None:
        """Write or replace one; durable when this returns."""

    def remove(self, key: str) -> None:
        """Remove one; a missing one is no error."""


@dataclass(frozen=True, slots=True)
class Use:
    """How a path was asked for."""

    capability: VolumeCapability
    is_read_only: bool = False


@dataclass(frozen=True, slots=True)
class VolumeState:
    """One volume's uses on this node.

    `volume_id` is a volume's or the kubelet's ephemeral id, as text.
    """

    volume_id: str
    dataset_name: str
    staged: Mapping[Path, Use] = field(default_factory=dict)
    published: Mapping[Path, Use] = field(default_factory=dict)
    is_attached: bool = False

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to remember."""
        return not (self.staged or self.published or self.is_attached)

    @property
    def paths(self) -> list[Path]:
        """All staging and target paths."""
        return [*self.staged, *self.published]


class NodeState:
    """The uses of all volumes.  Thread-safe; callers serialise the changes of one volume."""

    def __init__(self, store: StateStore) -> None:
        """Read what is stored; a document that cannot be read is logged, and the rest is served."""
        self._store = store
        self._guard = threading.Lock()
        self._states: dict[str, VolumeState] = {}
        for key, data in store.load():
            try:
                state = parse_state(key, data)
            except NodeStateCorruptError as exc:
                log.warning("%s", exc)
            else:
                self._states[state.volume_id] = state

    def __iter__(self) -> Iterator[VolumeState]:
        """All states, as they were at this instant."""
        with self._guard:
            return iter(list(self._states.values()))

    def find(self, volume_id: str) -> VolumeState | None:
        """The state of one volume, if anything was asked for it."""
        return self._states.get(volume_id)

    def owner_of(self, path: Path) -> str:
        """The id of the volume that is staged or published at this path, or above it.

        Empty if there is none.  Below a volume's path is what the workload keeps there.
        """
        places = {path, *path.parents}
        owners = (state.volume_id for state in self if not places.isdisjoint(state.paths))
        return next(owners, "")

    def save(self, state: VolumeState) -> None:
        """Remember a state, durably; an idle one is forgotten.

        Where the store cannot be written, a state that only says less than before is remembered in
        memory alone: a full disk must not keep workloads from ending (rules.md B5), and a document
        that says too much does no harm, because the mount table is asked as well.
        """
        with self._guard:
            known = self._states.get(state.volume_id)
        if known == state:
            return
        try:
            self._write(state)
        except UnavailableError as exc:
            if known is None or not _says_less(state, known):
                raise
            log.warning("the node state of volume %s is not written: %s", state.volume_id, exc)
        with self._guard:
            if state.is_idle:
                self._states.pop(state.volume_id, None)
            else:
                self._states[state.volume_id] = state

    def _write(self, state: VolumeState) -> None:
        if state.is_idle:  # removed even where it is unknown: a save that failed may have left it
            self._store.remove(state.volume_id)
        else:
            self._store.save(state.volume_id, format_state(state))


def _says_less(state: VolumeState, known: VolumeState) -> bool:
    return (
        state.staged.items() <= known.staged.items()
        and state.published.items() <= known.published.items()
        and state.is_attached <= known.is_attached
    )


def format_state(state: VolumeState) -> bytes:
    """The document of a state."""
    document = {
        "version": 1,
        "volume_id": state.volume_id,
        "dataset_name": state.dataset_name,
        "is_attached": state.is_attached,
        "staged": {str(path): _format_use(use) for path, use in state.staged.items()},
        "published": {str(path): _format_use(use) for path, use in state.published.items()},
    }
    return json.dumps(document, indent=1, sort_keys=True).encode()


def parse_state(key: str, data: bytes) -> VolumeState:
    """The state of a document; raises `NodeStateCorruptError`."""
    try:
        document = json.loads(data)
        return VolumeState(
            volume_id=_typed(document, "volume_id", str),
            dataset_name=_typed(document, "dataset_name", str),
            is_attached=_typed(document, "is_attached", bool),
            staged={Path(path): _parse_use(use) for path, use in document["staged"].items()},
            published={Path(path): _parse_use(use) for path, use in document["published"].items()},
        )
    except (KeyError, ValueError, TypeError, AttributeError, InvalidRequestError) as exc:
        msg = (
            f"the node state {key} cannot be read ({exc!r}): it counts as missing; what is mounted "
            "stays mounted"
        )
        raise NodeStateCorruptError(msg) from exc


def _format_use(use: Use) -> dict[str, Any]:
    return {
        "access_mode": use.capability.access_mode.value,
        "access_type": use.capability.access_type.value,
        "fs_type": use.capability.fs_type,
        "mount_flags": list(use.capability.mount_flags),
        "is_read_only": use.is_read_only,
    }


def _parse_use(document: Mapping[str, Any]) -> Use:
    capability = VolumeCapability(
        access_mode=AccessMode(document["access_mode"]),
        access_type=AccessType(document["access_type"]),
        fs_type=_typed(document, "fs_type", str),
        mount_flags=tuple(document["mount_flags"]),
    )
    return Use(capability, is_read_only=_typed(document, "is_read_only", bool))


def _typed(document: Mapping[str, Any], key: str, kind: type[T]) -> T:
    value = document[key]
    if not isinstance(value, kind):
        msg = f"{key} is not of type {kind.__name__}"
        raise TypeError(msg)
    return value
