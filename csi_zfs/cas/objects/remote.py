"""Objects on S3 and what is like it, by obstore.

Azure Blob Storage and Google Cloud Storage come with obstore too (`RemoteObjects` takes its stores
as they are); nobody has tested them.  A server that is full says so in no way that all of them
share: that is `StorageUnavailableError` here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from types import MappingProxyType
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError
from obstore.store import S3Store

from csi_zfs.cas.api import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectInfo,
    ObjectNotFoundError,
    StorageDeniedError,
    StorageUnavailableError,
    StoredObject,
    UnsafeStorageError,
)
from csi_zfs.cas.objects.grammar import require_key, require_prefix
from csi_zfs.cas.objects.limits import require_readable
from csi_zfs.cas.objects.s3_place import Patience, S3Place
from csi_zfs.cas.objects.spans import cut_out, spans_of
from csi_zfs.domain.errors import CsiZfsError

if TYPE_CHECKING:
    # obstore has these names for type checkers only.
    from obstore import ObjectMeta, PutMode
    from obstore.store import ObjectStore, S3Credential

# What obstore raises where the server or the way to it is to blame; "not found" has Python's own
# type.
_FAILURES = (BaseError, OSError)
_MEANINGS: Mapping[type, type[CsiZfsError]] = MappingProxyType(
    {PermissionDeniedError: StorageDeniedError, UnauthenticatedError: StorageDeniedError}
)
# Of a conditional write, whose every request is repeated by obstore already.
_TRIES = 3
_BATCH = 1000
_PAGE = 1000


class RemoteObjects:
    """An `ObjectStorage` on a server; a tag is the server's own.

    Some servers (versitygw) let a delete pass between the check and the write of a `replace`, which
    brings the object back: delete only what nobody replaces any more.
    """

    def __init__(self, store: "ObjectStore") -> None:
        """Use a store of obstore as it is."""
        self._store = store

    @classmethod
    def on_s3(cls, place: S3Place, patience: Patience | None = None) -> "RemoteObjects":
        """Use a bucket that is there; nothing is asked of the server yet."""
        return cls(_s3_store(place, patience or Patience()))

    def put(self, key: str, data: bytes | bytearray | memoryview) -> None:
        """See `ObjectStorage`."""
        require_key(key)
        with _translating(f"object {key}"):
            self._store.put(key, data, use_multipart=False)

    def put_new(self, key: str, data: bytes) -> str:
        """See `ObjectStorage`."""
        require_key(key)
        failure: Exception | None = None
        for _ in range(_TRIES):
            try:
                return self._put_if(key, data, "create")
            except _FAILURES as exc:
                failure = exc
            # The answer to any of the requests that obstore sent may have got lost: only the key
            # itself can tell.
            there = self._look(key)
            if there is not None:
                return _same(key, there, data, ObjectExistsError)
            _require_worth_repeating(key, failure)
        raise StorageUnavailableError(f"object {key} cannot be written: repeat") from failure

    def replace(self, key: str, data: bytes, tag: str) -> str:
        """See `ObjectStorage`."""
        require_key(key)
        failure: Exception | None = None
        for _ in range(_TRIES):
            try:
                return self._put_if(key, data, {"e_tag": tag})
            except _FAILURES as exc:
                failure = exc
            there = self._look(key)
            if there is None:
                raise ObjectChangedError(f"object {key} was deleted") from failure
            if there.tag != tag:
                return _same(key, there, data, ObjectChangedError)
            _require_worth_repeating(key, failure)
        raise StorageUnavailableError(f"object {key} cannot be replaced: repeat") from failure

    def get(self, key: str) -> StoredObject:
        """See `ObjectStorage`."""
        require_key(key)
        with self._reading(key):
            answer = self._store.get(key)
            require_readable(key, answer.meta["size"])
            return StoredObject(bytes(answer.bytes()), _tag(key, answer.meta["e_tag"]))

    def get_ranges(self, key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
        """See `ObjectStorage`; parts that are near each other come in one request."""
        require_key(key)
        with self._reading(key):
            try:
                return _parts(self._store, key, ranges)
            except _FAILURES:
                # One that begins behind the end is an error of the whole request, by no type of
                # its own.
                size_bytes = self._store.head(key)["size"]
                inside = [(at, min(n, size_bytes - at)) for at, n in ranges]
                return _parts(self._store, key, inside)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """See `ObjectStorage`; a server that lists in another order is refused."""
        require_prefix(prefix)
        before = ""
        with _translating(f"listing {prefix or 'all objects'}"):
            for item in self._items(prefix):
                key = item["path"]
                if key <= before:
                    raise UnsafeStorageError(f"the server lists {key} behind {before}")
                yield ObjectInfo(key, item["size"], item["last_modified"].timestamp())
                before = key

    def delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStorage`."""
        named = iter([require_key(key) for key in keys])
        while batch := list(islice(named, _BATCH)):
            with _translating("deleting"):
                self._delete(batch)

    def _items(self, prefix: str) -> Iterator["ObjectMeta"]:
        try:
            for page in self._store.list(prefix, chunk_size=_PAGE):
                yield from page
        except BaseError:
            # A listing fails without a type that says why; another request may have one.
            with suppress(FileNotFoundError):
                self._store.head(f"{prefix}any")
            raise

    def _delete(self, batch: Sequence[str]) -> None:
        for left in reversed(range(_TRIES)):
            try:
                self._store.delete(batch)
            except FileNotFoundError:
                # Not every kind of server takes a missing one for deleted.
                self._delete_each(batch)
            except BaseError as exc:
                # Some fail where somebody else deletes the same at this moment.
                if left and _meaning(exc) is StorageUnavailableError:
                    continue
                raise
            return

    def _delete_each(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._delete_one(key)

    def _delete_one(self, key: str) -> None:
        try:
            self._store.delete(key)
        except FileNotFoundError:
            self._require_place(key)

    def _put_if(self, key: str, data: bytes, mode: "PutMode") -> str:
        try:
            answer = self._store.put(key, data, mode=mode, use_multipart=False)
        except NotImplementedError as exc:
            raise UnsafeStorageError("this kind of server has no conditional writes") from exc
        return _tag(key, answer["e_tag"])

    def _look(self, key: str) -> StoredObject | None:
        try:
            return self.get(key)
        except ObjectNotFoundError:
            return None

    @contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        with _translating(f"object {key}"):
            try:
                yield
            except FileNotFoundError as exc:
                self._require_place(key)
                raise ObjectNotFoundError(f"there is no object {key}") from exc

    def _require_place(self, key: str) -> None:
        """Raise unless the bucket is there: without it, too, no object is found."""
        for _page in self._store.list(f"{key}/"):
            return


def _parts(store: "ObjectStore", key: str, ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    spans = spans_of(ranges)
    if not spans:
        store.head(key)
        return [b""] * len(ranges)
    starts, lengths = [span.start for span in spans], [span.length for span in spans]
    contents = store.get_ranges(key, starts=starts, lengths=lengths, coalesce=0)
    return cut_out(ranges, spans, [memoryview(content) for content in contents])


def _same(
    key: str,
    there: StoredObject,
    data: bytes,
    refusal: type[ObjectExistsError | ObjectChangedError],
) -> str:
    """The tag of what is there, where it is what was to be written."""
    if there.data != data:
        raise refusal(f"object {key} has other content: read it again")
    return there.tag


def _tag(key: str, tag: str | None) -> str:
    if not tag:
        raise UnsafeStorageError(f"the server gives object {key} no tag")
    return tag


def _require_worth_repeating(key: str, failure: Exception) -> None:
    meaning = _meaning(failure)
    if meaning is not StorageUnavailableError:
        raise meaning(_words(f"object {key}", failure)) from failure


def _meaning(failure: Exception) -> type[CsiZfsError]:
    for cls in type(failure).mro():
        if (meaning := _MEANINGS.get(cls)) is not None:
            return meaning
    return StorageUnavailableError


def _words(what: str, failure: Exception) -> str:
    # The text of obstore's error may hold an address with a signature in it: the type will do.
    return f"{what}: the server does not do it ({type(failure).__name__})"


@contextmanager
def _translating(what: str) -> Iterator[None]:
    try:
        yield
    except _FAILURES as exc:
        raise _meaning(exc)(_words(what, exc)) from exc


def _s3_store(place: S3Place, patience: Patience) -> S3Store:
    # obstore reads AWS_* of the environment for whatever is not said here.
    return S3Store(
        place.bucket,
        prefix=place.prefix.rstrip("/") or None,
        endpoint=place.url,
        region=place.region,
        virtual_hosted_style_request=not place.is_path_style,
        conditional_put="etag",
        skip_signature=False,
        unsigned_payload=False,
        s3_express=False,
        credential_provider=_Credentials(place),
        client_options={
            "allow_http": not place.is_encrypted,
            "allow_invalid_certificates": False,
            "connect_timeout": patience.connect,
            "timeout": patience.request,
        },
        retry_config={
            "max_retries": patience.retries,
            "retry_timeout": patience.retry,
            "backoff": {
                "init_backoff": patience.first_pause,
                "max_backoff": patience.longest_pause,
                "base": 2,
            },
        },
    )


class _Credentials:
    """Those of a place, and never any of the environment's."""

    def __init__(self, place: S3Place) -> None:
        self._place = place

    def __call__(self) -> "S3Credential":
        return {
            "access_key_id": self._place.access_key_id,
            "secret_access_key": self._place.secret_access_key,
            "token": self._place.session_token or None,
            "expires_at": None,
        }
