"""I16 of the chunk store: a lost answer, a 503 or a doubled request changes nothing."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from csi_zfs.cas.api import ObjectStorage
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import make_local_storage
from csi_zfs.cas.objects.remote import RemoteObjects
from tests.property.objects_machine import ObjectsMachine
from tests.support.memory_objects import MemoryObjects
from tests.support.obstores import memory_store
from tests.support.power_cut import HurriedFiles


def obstore_objects() -> ObjectStorage:
    return RemoteObjects(memory_store())


def machine_on(make: Callable[[], ObjectStorage]) -> type[ObjectsMachine]:
    class Machine(ObjectsMachine):
        def __init__(self) -> None:
            super().__init__(make())

    return Machine


@pytest.mark.slow
@pytest.mark.parametrize("make", [MemoryObjects, obstore_objects])
def test_storage_in_any_sequence_equals_its_model(make: Callable[[], ObjectStorage]) -> None:
    run_state_machine_as_test(machine_on(make), settings=settings(stateful_step_count=30))


@pytest.mark.slow
def test_local_storage_in_any_sequence_equals_its_model(tmp_path: Path) -> None:
    def local_objects() -> ObjectStorage:
        root = Path(tempfile.mkdtemp(dir=tmp_path))
        make_local_storage(root, HurriedFiles())
        return LocalObjects(root, HurriedFiles())

    run_state_machine_as_test(machine_on(local_objects), settings=settings(stateful_step_count=30))
