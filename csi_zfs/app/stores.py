"""Chunk stores put together: a place becomes a storage, and with a credential a store."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from csi_zfs.cas.api import ObjectStorage
from csi_zfs.cas.head_file import FileHead
from csi_zfs.cas.header import Header
from csi_zfs.cas.key_ring import KeyRing
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import make_local_storage
from csi_zfs.cas.objects.probe import require_conditional_writes
from csi_zfs.cas.objects.s3_place import S3Place
from csi_zfs.cas.places import Places
from csi_zfs.cas.slots import Credential
from csi_zfs.cas.store import Store, Surroundings, has_store, make_store, unlocked
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.settings.store_access import StoreVariables
from csi_zfs.system.clock import SystemClock

_SCHEME = "s3://"
_CACHE = "places.sqlite"

Tell = Callable[[str], None]


class UnknownPlaceError(InvalidRequestError):
    """The place of a store is neither a directory nor a bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreAccess:
    """Where a store is, what opens it, and where this machine remembers what it saw of it."""

    place: Path | S3Place
    credential: Credential
    state_directory: Path


def place_of(text: str, variables: StoreVariables) -> Path | S3Place:
    """The place that a text names: a directory, or `s3://bucket/prefix`.

    Raises `UnknownPlaceError`, and `InvalidPlaceError` for what no bucket can be.
    """
    if not text.startswith(_SCHEME):
        if not text or "://" in text:
            raise UnknownPlaceError(f"a store is in a directory or at s3://..., not at {text!r}")
        return Path(text).absolute()
    bucket, _, prefix = text.removeprefix(_SCHEME).partition("/")
    endpoint = variables.endpoint.rstrip("/")
    amazon = f"https://s3.{variables.region}.amazonaws.com"
    return S3Place(
        endpoint=endpoint or amazon,
        bucket=bucket,
        prefix=f"{prefix.rstrip('/')}/" if prefix else "",
        region=variables.region,
        access_key_id=variables.access_key_id,
        secret_access_key=variables.secret_access_key,
        session_token=variables.session_token,
        # Buckets whose names have dots fit no certificate as part of the server's name.
        is_path_style=bool(endpoint) or "." in bucket,
    )


def init_store(access: StoreAccess, *, chunk_bytes: int, tell: Tell) -> Header:
    """Make a store; a storage on a server is tried with racing writers first.

    Raises `StoreExistsError`, `UnsafeStorageError`, `DirectoryInUseError` and what a storage
    raises.
    """
    if isinstance(access.place, Path):
        make_local_storage(access.place)
    storage = storage_at(access.place)
    if isinstance(access.place, S3Place) and not has_store(storage):
        tell("trying the conditional writes of the server with racing writers")
        require_conditional_writes(storage)
    return make_store(storage, access.credential, SystemClock(), chunk_bytes=chunk_bytes)


@contextmanager
def opened_store(access: StoreAccess, tell: Tell) -> Iterator[Store]:
    """The store, for the length of a `with` block; `tell` is told what the user should know.

    Raises `StoreNotFoundError`, `WrongKeyError` and what `unlocked` raises; nothing is written to
    the store by that.
    """
    storage = storage_at(access.place)
    header, store_key = unlocked(storage, access.credential)
    directory = access.state_directory / header.store_id.hex()
    cache = directory / _CACHE
    memory = FileHead(directory)
    had_cache = cache.exists()
    if memory.begin() and had_cache:
        tell(
            f"{directory} has no memory of the store's journal any more: that nobody put an older"
            " copy of the store in its place cannot be seen this time"
        )
    store = Store(storage, header, store_key, Surroundings(Places(cache), memory, SystemClock()))
    try:
        yield store
    finally:
        store.close()


def opened_key_ring(access: StoreAccess) -> KeyRing:
    """The key slots of a store, opened by the credential; raises as `opened_store`."""
    storage = storage_at(access.place)
    header, store_key = unlocked(storage, access.credential)
    return KeyRing(storage, header.store_id, store_key, SystemClock())


def storage_at(place: Path | S3Place) -> ObjectStorage:
    """The storage at a place; raises `StorageUnavailableError` for a directory that is none."""
    if isinstance(place, Path):
        return LocalObjects(place)
    # The library for servers is loaded by those who have one.
    from csi_zfs.cas.objects.remote import RemoteObjects  # noqa: PLC0415

    return RemoteObjects.on_s3(place)
