"""What a server's answers, and their loss, mean."""

import os
import traceback
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from obstore.exceptions import (
    GenericError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import LocalStore, S3Store

from csi_zfs.cas.api import (
    ObjectChangedError,
    ObjectExistsError,
    StorageDeniedError,
    StorageUnavailableError,
    StoreCorruptError,
    UnsafeStorageError,
)
from csi_zfs.cas.objects.grammar import InvalidKeyError
from csi_zfs.cas.objects.remote import RemoteObjects
from csi_zfs.cas.objects.s3_place import InvalidPlaceError, Patience, S3Place
from csi_zfs.domain.errors import CsiZfsError
from tests.support.obstores import LossyStore

KEY = "journal/0000000000000001"
KEY_ID, SECRET, TOKEN = "canary-key-id-5512", "canary-secret-7e01", "canary-token-9a3c"
# Nothing listens at port 9.
PLACE = S3Place(
    endpoint="http://127.0.0.1:9",
    bucket="bucket",
    prefix="some/where/",
    access_key_id=KEY_ID,
    secret_access_key=SECRET,
    session_token=TOKEN,
)
AT_ONCE = Patience(retries=0, connect=timedelta(seconds=2))


@pytest.mark.parametrize("plan", ["lost", "failed", "failed failed", "failed lost"])
def test_put_new_whose_answers_are_lost_looks_at_the_key_and_succeeds(plan: str) -> None:
    store = LossyStore(plan)
    tag = RemoteObjects(store).put_new(KEY, b"one")
    assert RemoteObjects(store).get(KEY).data == b"one"
    assert RemoteObjects(store).get(KEY).tag == tag


@pytest.mark.parametrize("plan", ["", "lost", "failed"])
def test_put_new_where_there_are_other_bytes_is_refused_whatever_was_answered(plan: str) -> None:
    """Versitygw closes the connection at times in place of an answer to a large one."""
    store = LossyStore()
    RemoteObjects(store).put_new(KEY, b"one")
    store.plan = [*plan.split()]
    with pytest.raises(ObjectExistsError):
        RemoteObjects(store).put_new(KEY, b"two")
    assert RemoteObjects(store).get(KEY).data == b"one"


def test_put_new_on_a_server_that_never_answers_ends() -> None:
    store = LossyStore("failed " * 50)
    with pytest.raises(StorageUnavailableError, match="repeat"):
        RemoteObjects(store).put_new(KEY, b"one")
    assert store.calls == 3


@pytest.mark.parametrize("plan", ["lost", "failed", "failed failed", "failed lost"])
def test_replace_whose_answers_are_lost_looks_at_the_key_and_succeeds(plan: str) -> None:
    store = LossyStore()
    storage = RemoteObjects(store)
    tag = storage.put_new(KEY, b"one")
    store.plan = [*plan.split()]
    new_tag = storage.replace(KEY, b"two", tag)
    assert (storage.get(KEY).data, storage.get(KEY).tag) == (b"two", new_tag)


@pytest.mark.parametrize("plan", ["", "lost", "failed"])
def test_replace_with_an_old_tag_is_refused_whatever_was_answered(plan: str) -> None:
    store = LossyStore()
    storage = RemoteObjects(store)
    old = storage.put_new(KEY, b"one")
    storage.replace(KEY, b"two", old)
    store.plan = [*plan.split()]
    with pytest.raises(ObjectChangedError):
        storage.replace(KEY, b"three", old)
    assert storage.get(KEY).data == b"two"


@pytest.mark.parametrize("plan", ["", "lost", "failed"])
def test_replace_of_what_is_gone_is_refused_whatever_was_answered(plan: str) -> None:
    store = LossyStore()
    storage = RemoteObjects(store)
    tag = storage.put_new(KEY, b"one")
    storage.delete([KEY])
    store.plan = [*plan.split()]
    with pytest.raises(ObjectChangedError, match="deleted"):
        storage.replace(KEY, b"two", tag)


def test_replace_on_a_server_that_never_answers_ends() -> None:
    store = LossyStore()
    tag = RemoteObjects(store).put_new(KEY, b"one")
    store.plan, store.calls = ["failed"] * 50, 0
    with pytest.raises(StorageUnavailableError, match="repeat"):
        RemoteObjects(store).replace(KEY, b"two", tag)
    assert store.calls == 3


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (GenericError("x"), StorageUnavailableError),
        (PermissionDeniedError("x"), StorageDeniedError),
        (UnauthenticatedError("x"), StorageDeniedError),
        (FileNotFoundError("the bucket"), StorageUnavailableError),
        (TimeoutError("x"), StorageUnavailableError),
    ],
    ids=lambda it: type(it).__name__ if isinstance(it, Exception) else it.__name__,
)
def test_answer_has_its_meaning_by_its_type(answer: Exception, error: type[CsiZfsError]) -> None:
    with pytest.raises(error, match=type(answer).__name__) as caught:
        RemoteObjects(LossyStore(answer)).put(KEY, b"one")
    assert caught.value.__cause__ is answer


@pytest.mark.parametrize("answer", [PermissionDeniedError("x"), NotImplementedError("x")])
def test_conditional_write_that_can_never_succeed_is_not_repeated(answer: Exception) -> None:
    store = LossyStore(answer)
    with pytest.raises((StorageDeniedError, UnsafeStorageError)):
        RemoteObjects(store).put_new(KEY, b"one")
    assert store.calls == 1


def test_store_of_obstore_without_conditional_writes_is_unsafe(tmp_path: Path) -> None:
    storage = RemoteObjects(LocalStore(tmp_path))
    storage.put(KEY, b"one")
    with pytest.raises(UnsafeStorageError):
        storage.replace(KEY, b"two", "tag")


def test_delete_on_a_store_that_minds_missing_objects_deletes_the_others(tmp_path: Path) -> None:
    """As Azure and Google do."""
    storage = RemoteObjects(LocalStore(tmp_path))
    for name in "abc":
        storage.put(f"keys/{name}", b"x")
    storage.delete(["keys/a", "keys/0", "keys/b"])
    assert [info.key for info in storage.list("")] == ["keys/c"]


@pytest.mark.parametrize("plan", ["failed", "lost", "failed lost"])
def test_delete_whose_answer_is_lost_is_repeated(plan: str) -> None:
    store = LossyStore()
    storage = RemoteObjects(store)
    storage.put(KEY, b"one")
    store.plan = [*plan.split()]
    storage.delete([KEY])
    assert list(storage.list("")) == []


@pytest.mark.parametrize(
    ("answer", "error", "calls"),
    [
        (GenericError("x"), StorageUnavailableError, 3),
        (PermissionDeniedError("x"), StorageDeniedError, 1),
    ],
    ids=["generic", "denied"],
)
def test_delete_that_goes_on_failing_ends(
    answer: Exception, error: type[CsiZfsError], calls: int
) -> None:
    store = LossyStore()
    store.plan = [answer] * 50
    with pytest.raises(error):
        RemoteObjects(store).delete([KEY])
    assert store.calls == calls


class TaglessStore(LossyStore):
    """Gives no tags."""

    def put(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as obstore has it
        return super().put(*args, **kwargs) | {"e_tag": None}


def test_server_without_tags_is_unsafe() -> None:
    with pytest.raises(UnsafeStorageError, match="no tag"):
        RemoteObjects(TaglessStore()).put_new(KEY, b"one")


def test_object_of_a_size_that_the_store_never_writes_is_not_read_at_once(
    tmp_path: Path,
) -> None:
    storage = RemoteObjects(LocalStore(tmp_path))
    storage.put(KEY, b"one")
    os.truncate(tmp_path / KEY, 1 << 40)
    with pytest.raises(StoreCorruptError, match=KEY):
        storage.get(KEY)
    assert storage.get_ranges(KEY, [(0, 3), ((1 << 40) - 2, 1 << 62)]) == [b"one", b"\0\0"]


class UnsortedStore(LossyStore):
    """Lists backwards."""

    def list(self, *args: object, **kwargs: object) -> object:  # type: ignore[override]
        return [[*page][::-1] for page in super().list()]


def test_listing_in_another_order_is_refused() -> None:
    storage = RemoteObjects(UnsortedStore())
    for name in "abc":
        storage.put(f"keys/{name}", b"x")
    with pytest.raises(UnsafeStorageError, match="keys/b behind keys/c"):
        list(storage.list("keys/"))


def test_server_that_is_away_is_unavailable_in_every_call() -> None:
    storage = RemoteObjects.on_s3(PLACE, AT_ONCE)
    for call in (
        lambda: storage.put(KEY, b"x"),
        lambda: storage.put_new(KEY, b"x"),
        lambda: storage.replace(KEY, b"x", "tag"),
        lambda: storage.get(KEY),
        lambda: storage.get_ranges(KEY, [(0, 1)]),
        lambda: list(storage.list("")),
        lambda: storage.delete([KEY]),
    ):
        with pytest.raises(StorageUnavailableError) as caught:
            call()
        told = "".join(traceback.format_exception(caught.value))
        assert not [secret for secret in (SECRET, TOKEN, KEY_ID) if secret in told]


def test_credentials_are_shown_nowhere() -> None:
    """rules.md C4."""
    storage = RemoteObjects.on_s3(PLACE, AT_ONCE)
    shown = f"{PLACE!r} {PLACE} {storage!r} {vars(storage)!r}"
    assert not [secret for secret in (SECRET, TOKEN, KEY_ID) if secret in shown]
    assert "some/where/" in shown


def test_environment_has_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT": "http://elsewhere",
        "AWS_ENDPOINT_URL_S3": "http://elsewhere",
        "AWS_REGION": "elsewhere",
        "AWS_BUCKET": "elsewhere",
        "AWS_ACCESS_KEY_ID": "elsewhere",
        "AWS_SECRET_ACCESS_KEY": "elsewhere",
        "AWS_SESSION_TOKEN": "elsewhere",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_CONDITIONAL_PUT": "disabled",
    }.items():
        monkeypatch.setenv(name, value)
    store = RemoteObjects.on_s3(PLACE, AT_ONCE)._store
    assert isinstance(store, S3Store)
    config = dict(store.config)
    assert config["endpoint"] == "http://127.0.0.1:9"
    assert (config["region"], config["bucket"]) == ("us-east-1", "bucket")
    assert (config["conditional_put"], config["skip_signature"]) == ("etag", "false")
    assert "elsewhere" not in repr(config)
    provider = store.credential_provider
    assert provider is not None
    assert provider() == {
        "access_key_id": KEY_ID,
        "secret_access_key": SECRET,
        "token": TOKEN,
        "expires_at": None,
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"endpoint": "s3.example.org"}, "https://"),
        ({"endpoint": "ftp://example.org"}, "https://"),
        ({"endpoint": "https://"}, "https://"),
        ({"endpoint": f"https://{KEY_ID}:{SECRET}@example.org"}, "nothing else"),
        ({"endpoint": "https://example.org/bucket"}, "nothing else"),
        ({"endpoint": "https://example.org?x=1"}, "nothing else"),
        ({"bucket": "A"}, "bucket"),
        ({"bucket": "a/../b"}, "bucket"),
        ({"access_key_id": ""}, "missing"),
        ({"secret_access_key": ""}, "missing"),
    ],
)
def test_place_that_cannot_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidPlaceError, match=words) as caught:
        replace(PLACE, **changes)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("prefix", ["a", "/a/", "../", "a//"])
def test_place_with_a_prefix_outside_the_grammar_is_refused(prefix: str) -> None:
    """rules.md C1."""
    with pytest.raises(InvalidKeyError):
        replace(PLACE, prefix=prefix)


def test_bucket_is_in_the_path_or_in_the_name_of_the_server() -> None:
    place = replace(PLACE, endpoint="https://s3.example.org", is_path_style=False)
    assert place.url == "https://bucket.s3.example.org"
    assert replace(place, is_path_style=True).url == "https://s3.example.org"
    assert place.is_encrypted
    assert not PLACE.is_encrypted
