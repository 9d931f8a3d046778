"""What only a real server can show: it dies, loses answers, knows credentials and buckets."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest

from csi_zfs.cas.api import (
    ObjectChangedError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectStorage,
    StorageDeniedError,
    StorageUnavailableError,
)
from csi_zfs.cas.objects.probe import PREFIX, require_conditional_writes
from csi_zfs.cas.objects.remote import RemoteObjects
from csi_zfs.cas.objects.s3_place import Patience
from e2e.s3.server import Server
from tests.support.lossy_proxy import Loss, LossyProxy, lossy_proxy

MIB = 1 << 20
KEY = "journal/0001"
BRIEF = Patience(retries=1, request=timedelta(seconds=5), first_pause=timedelta(milliseconds=1))
HASTY = replace(BRIEF, request=timedelta(milliseconds=300))
CALLS: dict[str, Callable[[ObjectStorage], object]] = {
    "put": lambda it: it.put(KEY, b"new"),
    "put_new": lambda it: it.put_new(KEY, b"new"),
    "replace": lambda it: it.replace(KEY, b"new", "tag"),
    "get": lambda it: it.get(KEY),
    "get_ranges": lambda it: it.get_ranges(KEY, [(0, 1)]),
    "list": lambda it: list(it.list("journal/")),
    "delete": lambda it: it.delete([KEY]),
}
every_call = pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
every_loss = pytest.mark.parametrize("loss", Loss, ids=lambda loss: loss.name.lower())


@pytest.fixture(name="proxy")
def fixture_proxy(server: Server) -> Iterator[LossyProxy]:
    with lossy_proxy(server.port) as proxy:
        yield proxy


@pytest.fixture(name="lossy")
def fixture_lossy(server: Server, prefix: str, proxy: LossyProxy) -> RemoteObjects:
    """The same objects as `storage`, through the proxy."""
    place = replace(server.place(prefix), endpoint=f"http://127.0.0.1:{proxy.port}")
    return RemoteObjects.on_s3(place, HASTY)


def test_probe_lets_the_server_pass_in_seconds(storage: RemoteObjects) -> None:
    begin = time.monotonic()
    require_conditional_writes(storage)
    took_s = time.monotonic() - begin
    print(f"the probe took {took_s:.2f} s")
    assert took_s < 30
    assert list(storage.list(PREFIX)) == []


@every_call
def test_missing_bucket_is_unavailable_and_nothing_in_it_is_absent(
    server: Server, call: Callable[[ObjectStorage], object]
) -> None:
    """rules.md A5: a server says 404 of an object in it too."""
    storage = RemoteObjects.on_s3(replace(server.place(), bucket="missing"), BRIEF)
    with pytest.raises(StorageUnavailableError):
        call(storage)


@every_call
def test_wrong_credentials_are_denied_in_every_call(
    server: Server, call: Callable[[ObjectStorage], object]
) -> None:
    """rules.md C4: and what they are is not told."""
    place = replace(server.place(), secret_access_key="canary-wrong")
    with pytest.raises(StorageDeniedError) as caught:
        call(RemoteObjects.on_s3(place, BRIEF))
    assert "canary" not in str(caught.value)


@every_call
def test_user_whom_the_server_does_not_know_hears_of_no_absence(
    server: Server, call: Callable[[ObjectStorage], object]
) -> None:
    """rules.md A5: this server says 404 then, as it does of objects."""
    place = replace(server.place(), access_key_id="canary-nobody")
    with pytest.raises((StorageDeniedError, StorageUnavailableError)):
        call(RemoteObjects.on_s3(place, BRIEF))


def test_credentials_of_the_environment_have_no_say(
    server: Server, storage: RemoteObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ENDPOINT_URL", "ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN", "REGION"):
        monkeypatch.setenv(f"AWS_{name}", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    other = RemoteObjects.on_s3(server.place("environment/"), BRIEF)
    other.put(KEY, b"one")
    assert other.get(KEY).data == b"one"


def test_prefixes_keep_storages_apart(server: Server) -> None:
    one, other = (RemoteObjects.on_s3(server.place(f"apart/{name}/")) for name in ("a", "ab"))
    one.put(KEY, b"one")
    assert list(other.list("")) == []
    with pytest.raises(ObjectNotFoundError):
        other.get(KEY)
    assert [info.key for info in RemoteObjects.on_s3(server.place("apart/")).list("")] == [
        f"a/{KEY}"
    ]


@every_loss
def test_put_new_whose_answer_is_lost_succeeds(
    lossy: RemoteObjects, storage: RemoteObjects, proxy: LossyProxy, loss: Loss
) -> None:
    proxy.lose(loss)
    tag = lossy.put_new(KEY, b"one")
    assert proxy.lost == 1
    assert (storage.get(KEY).data, storage.get(KEY).tag) == (b"one", tag)
    proxy.lose(loss)
    with pytest.raises(ObjectExistsError):
        lossy.put_new(KEY, b"two")
    assert storage.get(KEY).data == b"one"


@every_loss
def test_replace_whose_answer_is_lost_succeeds(
    lossy: RemoteObjects, storage: RemoteObjects, proxy: LossyProxy, loss: Loss
) -> None:
    first = storage.put_new(KEY, b"one")
    proxy.lose(loss)
    second = lossy.replace(KEY, b"two", first)
    assert proxy.lost == 1
    assert (storage.get(KEY).data, storage.get(KEY).tag) == (b"two", second)
    proxy.lose(loss)
    with pytest.raises(ObjectChangedError):
        lossy.replace(KEY, b"three", first)
    assert storage.get(KEY).data == b"two"


def test_put_and_delete_whose_answers_are_lost_can_be_repeated(
    lossy: RemoteObjects, storage: RemoteObjects, proxy: LossyProxy
) -> None:
    """Either obstore repeats them, or the caller hears that it does not know."""
    for name in ("put", "delete"):
        write = partial(CALLS[name], lossy)
        proxy.lose(Loss.CLOSED)
        for _ in range(2):
            try:
                write()
            except StorageUnavailableError:
                continue
            break
        else:
            pytest.fail("it never succeeds")
    assert list(storage.list("")) == []


def test_large_new_object_on_a_key_that_is_taken_is_always_refused(
    storage: RemoteObjects,
) -> None:
    """The server answers before it has read the body, and at times closes the connection."""
    storage.put(KEY, b"one")
    large = bytes(16 * MIB)
    for _ in range(6):
        with pytest.raises(ObjectExistsError):
            storage.put_new(KEY, large)
    assert storage.get(KEY).data == b"one"


def test_server_that_dies_is_unavailable_and_goes_on_when_it_is_back(server: Server) -> None:
    storage = RemoteObjects.on_s3(server.place("killed/"), BRIEF)
    tag = storage.put_new(KEY, b"one")
    server.kill()
    try:
        for call in CALLS.values():
            with pytest.raises(StorageUnavailableError):
                call(storage)
    finally:
        server.start()
    assert storage.get(KEY).data == b"one"
    storage.replace(KEY, b"two", tag)
    assert storage.get(KEY).data == b"two"
