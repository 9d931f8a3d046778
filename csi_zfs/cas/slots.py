"""Key slots: the store's key, wrapped by a passphrase or by another key.

Each slot is an object `slots/<id>` of its own.  Its wrapping key is derived from a random salt, so
that it seals one message only.  To change a passphrase is to make a slot and remove another.
"""

import enum
import hashlib
import os
from dataclasses import dataclass, field

from csi_zfs.cas import documents
from csi_zfs.cas.api import WrongKeyError
from csi_zfs.cas.crypto import KEY_BYTES, TAG_BYTES, AuthenticationError, Cipher
from csi_zfs.cas.documents import Document
from csi_zfs.cas.header import require_vouched, vouched
from csi_zfs.cas.keys import StoreKey
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.system.digest import derive_key

SLOTS = "slots/"
_CONTEXT = "csi-zfs store 2026-11-21 key slots"
_SALT_BYTES = 32
_NAMES = frozenset({"format", "kind", "label", "created_ns", "salt", "cost", "wrapped", "mac"})
_MIN_KEY_BYTES = 32
_MAX_LABEL = 200
# scrypt (RFC 7914) with r = 8, p = 1 takes 1 KiB of memory for each step of its cost.
_SCRYPT_BLOCK = 8
_DEFAULT_COST = 1 << 16
_MAX_COST = 1 << 18


class SlotKind(enum.StrEnum):
    """What opens a slot."""

    PASSPHRASE = "passphrase"  # noqa: S105 - the word for one
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Credential:
    """What somebody has in order to open a store."""

    kind: SlotKind
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if not self.secret:
            raise InvalidRequestError(f"the {self.kind} is empty")
        if self.kind is SlotKind.KEY and len(self.secret) < _MIN_KEY_BYTES:
            raise InvalidRequestError(
                f"a key has at least {_MIN_KEY_BYTES} bytes, and this one has {len(self.secret)}:"
                " `head -c 32 /dev/urandom` makes one"
            )


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot that was read."""

    document: Document
    kind: SlotKind
    label: str
    created_ns: int
    salt: bytes
    cost: int
    wrapped: bytes

    def opened(self, credential: Credential, store_id: bytes) -> StoreKey | None:
        """The store's key, or nothing where this credential is not the slot's."""
        if credential.kind is not self.kind:
            return None
        cipher = Cipher(_wrapping_key(credential, self.salt, self.cost))
        try:
            return StoreKey(cipher.open(0, self.wrapped, _bound(store_id, self.document.key)))
        except AuthenticationError:
            return None

    def require_genuine(self, store_key: StoreKey) -> None:
        """Check that the store's key made this slot; raises `StoreCorruptError`."""
        require_vouched(store_key, self.document)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewSlot:
    """A slot that is to be made; `cost` is scrypt's, a power of two."""

    slot_id: str
    store_id: bytes
    label: str
    created_ns: int
    cost: int = _DEFAULT_COST

    def encode(self, store_key: StoreKey, credential: Credential) -> bytes:
        """The object `slots/<slot_id>`."""
        if len(self.label) > _MAX_LABEL:
            raise InvalidRequestError(f"a label has at most {_MAX_LABEL} characters")
        key = SLOTS + self.slot_id
        salt = os.urandom(_SALT_BYTES)
        cost = self.cost if credential.kind is SlotKind.PASSPHRASE else 0
        cipher = Cipher(_wrapping_key(credential, salt, cost))
        fields = {
            "kind": credential.kind,
            "label": self.label,
            "created_ns": self.created_ns,
            "salt": salt.hex(),
            "cost": cost,
            "wrapped": cipher.seal(0, store_key.secret, _bound(self.store_id, key)).hex(),
        }
        return vouched(store_key, key, fields)


def parse_slot(key: str, data: bytes) -> Slot:
    """Read the slot under `key`.

    Raises `StoreCorruptError`, also for a cost that would take more memory than any slot's.
    """
    document = documents.parse(key, data, _NAMES)
    try:
        kind = SlotKind(document.text("kind"))
    except ValueError as exc:
        raise document.damaged("its kind is none of a slot") from exc
    cost = document.number("cost")
    is_cost = cost.bit_count() == 1 and cost <= _MAX_COST and cost > 1
    if not is_cost if kind is SlotKind.PASSPHRASE else cost != 0:
        raise document.damaged("its cost is none of a slot")
    return Slot(
        document=document,
        kind=kind,
        label=document.text("label"),
        created_ns=document.number("created_ns"),
        salt=document.raw("salt", _SALT_BYTES),
        cost=cost,
        wrapped=document.raw("wrapped", KEY_BYTES + TAG_BYTES),
    )


def no_slot_opens(credential: Credential) -> WrongKeyError:
    """The error for a credential that is none of the store's."""
    return WrongKeyError(
        f"this {credential.kind} opens no key slot of the store: it is another one's, or its slot"
        " or the header of the store is damaged"
    )


def _wrapping_key(credential: Credential, salt: bytes, cost: int) -> bytes:
    if credential.kind is SlotKind.KEY:
        return derive_key(_CONTEXT, salt + credential.secret)
    return hashlib.scrypt(
        credential.secret,
        salt=salt,
        n=cost,
        r=_SCRYPT_BLOCK,
        p=1,
        dklen=KEY_BYTES,
        # What OpenSSL takes besides the blocks of scrypt itself.
        maxmem=(cost + 64) * 128 * _SCRYPT_BLOCK,
    )


def _bound(store_id: bytes, key: str) -> bytes:
    return store_id + key.encode()
