"""Stores put together: places, and what a machine remembers of them."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.app.stores import StoreAccess, UnknownPlaceError, init_store, opened_store, place_of
from csi_zfs.cas.api import StorageUnavailableError, StoreCorruptError
from csi_zfs.cas.head_file import HeadDamagedError
from csi_zfs.cas.objects.s3_place import InvalidPlaceError, S3Place
from csi_zfs.settings.store_access import read_store_variables
from tests.support.stores import CHUNK_BYTES, CREDENTIAL, put_image

CHUNK = os.urandom(CHUNK_BYTES)
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret"}


def s3(text: str, **variables: str) -> S3Place:
    place = place_of(text, read_store_variables({**CREDENTIALS, **variables}))
    assert isinstance(place, S3Place)
    return place


def test_place_without_a_scheme_is_a_directory() -> None:
    assert place_of("/backup/store", read_store_variables({})) == Path("/backup/store")
    assert place_of("store", read_store_variables({})) == Path("store").absolute()


def test_bucket_of_amazon_is_part_of_the_servers_name() -> None:
    place = s3("s3://disks/of/mine/", AWS_REGION="eu-central-1")

    assert (place.bucket, place.prefix, place.region) == ("disks", "of/mine/", "eu-central-1")
    assert place.url == "https://disks.s3.eu-central-1.amazonaws.com"
    assert s3("s3://disks.example.com").url == "https://s3.us-east-1.amazonaws.com"


def test_bucket_of_another_server_is_part_of_the_path() -> None:
    place = s3("s3://disks", CSI_ZFS_STORE_ENDPOINT="https://s3.example.com/")

    assert (place.url, place.prefix) == ("https://s3.example.com", "")


@pytest.mark.parametrize("text", ["", "ftp://x", "S3://bucket", "file:///x"])
def test_place_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(UnknownPlaceError):
        place_of(text, read_store_variables(CREDENTIALS))


def test_bucket_without_credentials_is_refused() -> None:
    with pytest.raises(InvalidPlaceError, match="credentials"):
        place_of("s3://bucket", read_store_variables({}))


@pytest.fixture(name="access")
def fixture_access(tmp_path: Path) -> StoreAccess:
    access = StoreAccess(
        place=tmp_path / "store", credential=CREDENTIAL, state_directory=tmp_path / "state"
    )
    init_store(access, chunk_bytes=CHUNK_BYTES, tell=lambda _words: None)
    return access


def test_older_copy_of_a_store_is_noticed_by_who_saw_it_go_on(
    access: StoreAccess, tmp_path: Path
) -> None:
    told: list[str] = []
    with opened_store(access, told.append) as store:
        put_image(store, [CHUNK])
    shutil.copytree(tmp_path / "store", tmp_path / "older")
    with opened_store(access, told.append) as store:
        put_image(store, [CHUNK])
    older = replace(access, place=tmp_path / "older")

    with opened_store(older, told.append) as store, pytest.raises(StoreCorruptError, match="older"):
        store.manifests()
    assert told == []

    stranger = replace(older, state_directory=tmp_path / "of-another-machine")
    with opened_store(stranger, told.append) as store:
        assert len(store.manifests()) == 1


def test_memory_that_is_lost_is_told_and_one_that_is_damaged_refused(
    access: StoreAccess, tmp_path: Path
) -> None:
    told: list[str] = []
    with opened_store(access, told.append) as store:
        put_image(store, [CHUNK])
    (head,) = (tmp_path / "state").glob("*/head.json")
    content = head.read_bytes()

    head.write_bytes(content[:5])
    with pytest.raises(HeadDamagedError), opened_store(access, told.append) as store:
        store.manifests()
    assert told == []

    head.unlink()
    with opened_store(access, told.append) as store:
        assert len(store.manifests()) == 1
    assert len(told) == 1
    assert "no memory" in told[0]
    assert head.read_bytes() == content


def test_store_without_a_manifest_has_no_memory_to_lose(access: StoreAccess) -> None:
    told: list[str] = []
    for _ in range(2):
        with opened_store(access, told.append) as store:
            assert store.manifests() == []
    assert told == []


def test_cache_is_made_again_where_it_is_lost(access: StoreAccess, tmp_path: Path) -> None:
    with opened_store(access, print) as store:
        manifest = put_image(store, [CHUNK])
    (cache,) = (tmp_path / "state").glob("*/places.sqlite")
    cache.unlink()

    with opened_store(access, print) as store:
        store.refresh()
        assert store.manifest(manifest.manifest_id) == manifest
        assert put_image(store, [CHUNK]).root == manifest.root
        assert len(store.places.packs()) == 2


def test_directory_that_is_away_is_no_empty_store(access: StoreAccess, tmp_path: Path) -> None:
    (tmp_path / "store").rename(tmp_path / "elsewhere")
    (tmp_path / "store").mkdir()

    with pytest.raises(StorageUnavailableError), opened_store(access, print):
        pass
