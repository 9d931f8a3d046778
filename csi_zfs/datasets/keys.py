"""Keys of encrypted datasets: what an engine promises, `DatasetKeys`, and how a key is made.

A key belongs to a *lineage*: a dataset that was made encrypted, and all clones of its snapshots,
whose data one master key encrypts.  The *wrapping key* encrypts that master key.  It is derived of
a secret and the lineage's salt when a call brings the secret, given to the kernel, and kept
nowhere (rules.md C5).
"""

import secrets
from dataclasses import dataclass, field
from typing import NoReturn, Protocol

from csi_zfs.domain.errors import InUseError, OperationPendingError, UnsupportedParameterError
from csi_zfs.system.digest import derive_key

WRAPPING_KEY_BYTES = 32
SALT_BYTES = 16
# For ever: another text would make other keys of the same secrets.
_CONTEXT = "csi-zfs 2026 wrapping key of an encrypted lineage of datasets"


class KeyNotLoadedError(InUseError):
    """The dataset is encrypted, and its key is not loaded."""


class WrongKeyError(InUseError):
    """The key is not the dataset's."""


class LineageChangedError(OperationPendingError):
    """A promote gave the lineage another root in this very moment: try again."""


class EncryptionUnsupportedError(UnsupportedParameterError):
    """The pool's datasets cannot be encrypted."""


@dataclass(frozen=True, slots=True)
class WrappingKey:
    """32 raw bytes; never shown."""

    raw: bytes = field(repr=False)


def new_salt() -> str:
    """32 random hex digits."""
    return secrets.token_hex(SALT_BYTES)


def wrapping_key_of(secret: str, salt: str) -> WrappingKey:
    """The key that this secret makes for the lineage of this salt, the same everywhere."""
    return WrappingKey(derive_key(_CONTEXT, bytes.fromhex(salt) + secret.encode()))


class DatasetKeys(Protocol):
    """The keys of one pool's datasets.  Thread-safe; callers serialise those of one lineage.

    `name` is any dataset of a lineage.  Every method may raise `PoolUnavailableError`,
    `DatasetNotFoundError` and `LineageChangedError`.
    """

    def require(self, name: str, key: WrappingKey) -> None:
        """Raise `WrongKeyError` unless this is the key of the dataset's lineage, loaded or not."""

    def is_loaded(self, name: str) -> bool:
        """Whether the lineage's data can be read now; true also for what is not encrypted."""

    def load(self, name: str, key: WrappingKey) -> None:
        """Make the lineage's data readable; raises `WrongKeyError`, also where it is readable."""

    def unload(self, name: str) -> None:
        """Forget the lineage's key; one that is not loaded is no error.

        Raises `DatasetBusyError` where a dataset of the lineage is open or mounted.
        """

    def change(self, name: str, key: WrappingKey) -> None:
        """Wrap the lineage's master key with this key from now on; durable, and at one instant.

        No data is written anew.  Raises `KeyNotLoadedError`: only a loaded key can be changed.
        """


class NoKeys:
    """The keys of a pool whose datasets are never encrypted: there are none to speak of."""

    def require(self, name: str, key: WrappingKey) -> NoReturn:
        """Refuse."""
        raise EncryptionUnsupportedError(f"{name} is not encrypted: there is no {key}")

    def is_loaded(self, name: str) -> NoReturn:
        """Refuse."""
        raise EncryptionUnsupportedError(f"{name} is not encrypted")

    def load(self, name: str, key: WrappingKey) -> NoReturn:
        """Refuse."""
        self.require(name, key)

    def unload(self, name: str) -> NoReturn:
        """Refuse."""
        self.is_loaded(name)

    def change(self, name: str, key: WrappingKey) -> NoReturn:
        """Refuse."""
        self.require(name, key)
