"""What the suite runs on: the fake, a directory, obstore, and S3 where a server is named."""

import itertools
import os
import secrets
from pathlib import Path

import pytest

from csi_zfs.cas.api import ObjectStorage
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import make_local_storage
from csi_zfs.cas.objects.remote import RemoteObjects
from tests.support.faulty_objects import FaultyObjects
from tests.support.memory_objects import MemoryObjects
from tests.support.obstores import memory_store
from tests.support.s3 import place_in

# `make e2e-s3` names one.
S3 = ["s3"] if place_in(os.environ) is not None else []
_RUN = secrets.token_hex(8)
_numbers = itertools.count()


@pytest.fixture(params=["memory", "faultless", "local", "obstore", *S3])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStorage:
    match request.param:
        case "memory":
            return MemoryObjects()
        case "faultless":
            return FaultyObjects(MemoryObjects())
        case "local":
            make_local_storage(tmp_path / "objects")
            return LocalObjects(tmp_path / "objects")
        case "obstore":
            return RemoteObjects(memory_store())
    place = place_in(os.environ, f"{_RUN}/{next(_numbers)}/")
    assert place is not None
    return RemoteObjects.on_s3(place)
