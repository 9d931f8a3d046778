"""The keys of encrypted volumes: made of the Secret of a call, loaded while a volume is in use.

One key opens a whole lineage: a volume, and all clones of its snapshots (datasets/keys.py).  All of
them carry its salt in their records; the Secret is the one that the first of them was made with.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from csi_zfs.datasets.api import DatasetBusyError, DatasetManager
from csi_zfs.datasets.keys import WrappingKey, WrongKeyError, new_salt, wrapping_key_of
from csi_zfs.domain.errors import CsiZfsError, InUseError
from csi_zfs.domain.secrets import Secrets
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.locks import KeyedLocks, LockTakenError
from csi_zfs.services.node_state import NodeState

log = logging.getLogger(__name__)

KEY_FIELD = "encryptionKey"
# And whatever begins so: keys of before a rotation, until every volume was staged once after it.
PREVIOUS_FIELD = "previousEncryptionKey"
# The derivation does not stretch: a key has to be as hard to guess as one, like 32 random bytes in
# hexadecimal digits or base64.
MINIMUM_KEY_BYTES = 32


class KeyMissingError(InUseError):
    """The volume is encrypted, and the call brought no key; the text names the Secret's field."""


class KeyWeakError(InUseError):
    """The Secret's key is too short to be one."""


class KeyRefusedError(InUseError):
    """The Secret's key is not the volume's."""


@dataclass(frozen=True, slots=True)
class EncryptedDataset:
    """A dataset of an encrypted lineage: `salt` is what all of the lineage have in common."""

    pool: DatasetManager
    name: str
    salt: str


@dataclass(frozen=True, slots=True)
class VolumeKeys:
    """Loads and forgets keys.  Thread-safe.

    The lock of a lineage is shared by those who are about to open one of its datasets, so that
    nobody forgets the key in between.
    """

    catalogue: Catalogue
    locks: KeyedLocks
    node_state: NodeState

    def new(self, secrets: Secrets) -> tuple[str, WrappingKey]:
        """The salt and the key of a new lineage; raises `KeyMissingError`, `KeyWeakError`."""
        salt = new_salt()
        return salt, wrapping_key_of(_candidates(secrets)[0], salt)

    def require(self, encrypted: EncryptedDataset, secrets: Secrets) -> None:
        """Raise `KeyMissingError`, `KeyWeakError` or `KeyRefusedError` unless the Secret fits."""
        for secret in _candidates(secrets):
            with suppress(WrongKeyError):
                key = wrapping_key_of(secret, encrypted.salt)
                encrypted.pool.keys.require(encrypted.name, key)
                return
        raise _refused(encrypted, secrets)

    @contextmanager
    def opening(self, encrypted: EncryptedDataset, secrets: Secrets) -> Iterator[None]:
        """Load the key for the block, which opens or mounts the dataset; it stays loaded then.

        A key of before a rotation is replaced by the Secret's current one.  Raises as `require`.
        """
        was_loaded = encrypted.pool.keys.is_loaded(encrypted.name)
        try:
            with self.locks.hold(shared=[_lock_key(encrypted)]):
                is_current = self._load(encrypted, secrets)
                yield
        except BaseException:
            with suppress(CsiZfsError):  # what went wrong is what the caller has to hear
                self._forget_after(encrypted, was_loaded=was_loaded)
            raise
        if not is_current:
            self._replace(encrypted, secrets)

    @contextmanager
    def opening_again(self, encrypted: EncryptedDataset, secrets: Secrets) -> Iterator[None]:
        """As `opening`, for a call that may come without a Secret where the key is loaded."""
        if KEY_FIELD in secrets.fields:
            with self.opening(encrypted, secrets):
                yield
            return
        with self.locks.hold(shared=[_lock_key(encrypted)]):
            if not encrypted.pool.keys.is_loaded(encrypted.name):
                raise _missing(secrets)
            yield

    @contextmanager
    def borrowing(self, encrypted: EncryptedDataset, secrets: Secrets) -> Iterator[None]:
        """Load the key for the block alone, where it is not loaded already; raises as `require`."""
        was_loaded = encrypted.pool.keys.is_loaded(encrypted.name)
        with self.opening_again(encrypted, secrets):
            yield
        self._forget_after(encrypted, was_loaded=was_loaded)

    def _forget_after(self, encrypted: EncryptedDataset, *, was_loaded: bool) -> None:
        """Whoever left meanwhile has left the forgetting to us, as we held the lineage."""
        if was_loaded:
            self.forget_unused(encrypted)
        else:
            self.forget(encrypted)

    def forget(self, encrypted: EncryptedDataset) -> None:
        """Unload the key of a volume that is no longer in use, unless its lineage is.

        Raises `PoolUnavailableError`.
        """
        self._forget(encrypted, ended={encrypted.name})

    def forget_unused(self, encrypted: EncryptedDataset) -> None:
        """Unload what a process that died has left loaded; raises `PoolUnavailableError`."""
        self._forget(encrypted, ended=set())

    def _forget(self, encrypted: EncryptedDataset, *, ended: set[str]) -> None:
        # Whoever holds the lock is about to use the key, or forgets it too.
        with suppress(LockTakenError), self.locks.hold(exclusive=[_lock_key(encrypted)]):
            if self._used_names(encrypted) - ended:
                return
            try:
                encrypted.pool.keys.unload(encrypted.name)
            except DatasetBusyError as exc:
                log.warning("the key of %s stays loaded for now: %s", encrypted.name, exc)

    def _load(self, encrypted: EncryptedDataset, secrets: Secrets) -> bool:
        """Load whichever key fits; returns whether it is the Secret's current one."""
        for place, secret in enumerate(_candidates(secrets)):
            with suppress(WrongKeyError):
                key = wrapping_key_of(secret, encrypted.salt)
                encrypted.pool.keys.load(encrypted.name, key)
                return place == 0
        raise _refused(encrypted, secrets)

    def _replace(self, encrypted: EncryptedDataset, secrets: Secrets) -> None:
        """Finish a rotation for this lineage; where that cannot be now, the next stage does it."""
        key = wrapping_key_of(_candidates(secrets)[0], encrypted.salt)
        try:
            with self.locks.hold(exclusive=[_lock_key(encrypted)]):
                encrypted.pool.keys.change(encrypted.name, key)
        except CsiZfsError as exc:
            log.warning("%s still has its previous key: %s", encrypted.name, exc)
        else:
            log.info("%s and its clones have the current key of their Secret now", encrypted.name)

    def _used_names(self, encrypted: EncryptedDataset) -> set[str]:
        """Which datasets of the lineage are in use on this node."""
        return {
            state.dataset_name
            for state in self.node_state
            if self.catalogue.salt_of(state.volume_id) == encrypted.salt
        }


def _candidates(secrets: Secrets) -> list[str]:
    """The current key first, then those of before."""
    fields = {name: value.rstrip("\r\n") for name, value in secrets.fields.items()}
    current = fields.get(KEY_FIELD)
    if not current:
        raise _missing(secrets)
    if len(current.encode()) < MINIMUM_KEY_BYTES:
        msg = (
            f"the field {KEY_FIELD} of the {secrets.use} Secret is shorter than "
            f"{MINIMUM_KEY_BYTES} bytes: make one with `openssl rand -hex 32`"
        )
        raise KeyWeakError(msg)
    previous = sorted(name for name in fields if name.startswith(PREVIOUS_FIELD))
    return [current, *(fields[name] for name in previous)]


def _missing(secrets: Secrets) -> KeyMissingError:
    return KeyMissingError(
        f"the volume is encrypted, and its key is missing: the class needs the parameter "
        f"csi.storage.k8s.io/{secrets.use}-secret-name, and that Secret the field {KEY_FIELD}"
    )


def _refused(encrypted: EncryptedDataset, secrets: Secrets) -> KeyRefusedError:
    return KeyRefusedError(
        f"the field {KEY_FIELD} of the {secrets.use} Secret is not the key of {encrypted.name}: "
        "it has to be the Secret of the volume, and for a copy that of the volume it comes from"
    )


def _lock_key(encrypted: EncryptedDataset) -> str:
    return f"key of {encrypted.salt}"
