"""Contract of keys: one for a lineage, with the dataset in it that is nobody's clone."""

import errno

import pytest

from csi_zfs.zfs.lzc import Properties
from tests.contract.zfs_core.world import FILESYSTEM, VOLMODE_NONE, ZVOL, World, errno_of, errnos_of

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
AES_256_GCM = 8
ENCRYPTED: Properties = {"encryption": AES_256_GCM, "keyformat": 1, "keylocation": "prompt"}
RAW: Properties = {"keyformat": 1}
MIB = 1 << 20


def _make(zfs: World, name: str, **properties: int | str) -> str:
    """An encrypted zvol; its key is loaded."""
    given: Properties = {"volsize": MIB, "volmode": VOLMODE_NONE, **ENCRYPTED, **properties}
    zfs.core.create(zfs.full(name), ZVOL, given, key=KEY)
    zfs.await_idle(name)
    return zfs.full(name)


@pytest.fixture
def lineage(zfs: World) -> World:
    """An encrypted zvol with a snapshot and a clone; its key is not loaded."""
    z = _make(zfs, "z")
    zfs.take("z@s")
    zfs.core.unload_key(z)
    zfs.core.clone(zfs.full("c"), zfs.full("z@s"), {"volmode": VOLMODE_NONE})
    return zfs


def test_new_root_has_its_key_loaded(zfs: World) -> None:
    _make(zfs, "z")
    assert zfs.get("z", "keystatus") == ["available"]
    zfs.make("plain")
    assert zfs.get("plain", "keystatus") == ["none"]


def test_create_refuses_a_key_that_is_none(zfs: World) -> None:
    full = zfs.full("x")
    found = errnos_of(
        {
            "no key": lambda: zfs.core.create(full, FILESYSTEM, ENCRYPTED),
            "a short key": lambda: zfs.core.create(full, FILESYSTEM, ENCRYPTED, key=b"short"),
        }
    )
    assert set(found.values()) == {errno.EINVAL}
    assert not zfs.exists("x")


def test_key_is_checked_without_being_loaded(lineage: World) -> None:
    z = lineage.full("z")
    lineage.core.load_key(z, KEY, is_noop=True)
    assert errno_of(lambda: lineage.core.load_key(z, OTHER_KEY, is_noop=True)) == errno.EACCES
    assert lineage.get("z", "keystatus") == ["unavailable"]
    lineage.core.load_key(z, KEY)
    lineage.core.load_key(z, KEY, is_noop=True)
    assert errno_of(lambda: lineage.core.load_key(z, OTHER_KEY, is_noop=True)) == errno.EACCES


def test_loaded_key_tells_the_right_one_from_a_wrong_one(lineage: World) -> None:
    """The driver takes EEXIST for "this very key is loaded"."""
    z = lineage.full("z")
    lineage.core.load_key(z, KEY)
    assert errno_of(lambda: lineage.core.load_key(z, KEY)) == errno.EEXIST
    assert errno_of(lambda: lineage.core.load_key(z, OTHER_KEY)) == errno.EACCES


def test_clone_shares_the_key_and_has_none_of_its_own(lineage: World) -> None:
    core, clone = lineage.core, lineage.full("c")
    assert lineage.get("c", "keystatus") == ["unavailable"]
    core.load_key(lineage.full("z"), KEY)
    assert lineage.get("c", "keystatus") == ["available"]
    calls = {
        "load": lambda: core.load_key(clone, KEY),
        "check": lambda: core.load_key(clone, KEY, is_noop=True),
        "change": lambda: core.change_key(clone, OTHER_KEY, RAW),
    }
    assert set(errnos_of(calls).values()) == {errno.EINVAL}
    assert errno_of(lambda: core.unload_key(clone)) == errno.EACCES
    assert lineage.get("c", "keystatus") == ["available"]


def test_calls_about_keys_refuse(zfs: World) -> None:
    zfs.make("plain")
    plain, no = zfs.full("plain"), zfs.full("no")
    found = errnos_of(
        {
            "load of none": lambda: zfs.core.load_key(no, KEY),
            "unload of none": lambda: zfs.core.unload_key(no),
            "change of none": lambda: zfs.core.change_key(no, KEY, RAW),
            "load of plain": lambda: zfs.core.load_key(plain, KEY),
            "unload of plain": lambda: zfs.core.unload_key(plain),
            "change of plain": lambda: zfs.core.change_key(plain, KEY, RAW),
        }
    )
    assert found == {
        **dict.fromkeys(("load of none", "unload of none", "change of none"), errno.ENOENT),
        **dict.fromkeys(("load of plain", "change of plain"), errno.EINVAL),
        "unload of plain": errno.EACCES,
    }


def test_unload_refuses_a_key_that_is_not_loaded_and_one_in_use(lineage: World) -> None:
    core, z = lineage.core, lineage.full("z")
    assert errno_of(lambda: core.unload_key(z)) == errno.EACCES
    core.load_key(z, KEY)
    core.clone(lineage.full("d"), lineage.full("z@s"), {})
    device = lineage.devices.await_device(lineage.full("d"))
    lineage.machine.settle()
    with lineage.machine.opened(device):
        assert errno_of(lambda: core.unload_key(z)) == errno.EBUSY
    lineage.machine.settle()
    core.unload_key(z)


def test_devices_of_a_lineage_come_with_its_key(lineage: World) -> None:
    core, z = lineage.core, lineage.full("z")
    core.clone(lineage.full("d"), lineage.full("z@s"), {})
    assert lineage.devices.find(lineage.full("d")) is None
    core.load_key(z, KEY)
    lineage.devices.await_device(lineage.full("d"))


def test_changed_key_is_the_only_one_that_fits(lineage: World) -> None:
    core, z = lineage.core, lineage.full("z")
    assert errno_of(lambda: core.change_key(z, OTHER_KEY, RAW)) == errno.EACCES  # it is not loaded
    core.load_key(z, KEY)
    assert errno_of(lambda: core.change_key(z, OTHER_KEY)) == errno.EINVAL  # it needs the format
    core.change_key(z, OTHER_KEY, RAW)
    assert errno_of(lambda: core.load_key(z, KEY, is_noop=True)) == errno.EACCES
    core.load_key(z, OTHER_KEY, is_noop=True)
    assert lineage.get("z", "keystatus") == ["available"]


def test_promote_moves_the_key_and_forgets_that_it_was_loaded(lineage: World) -> None:
    """Why the driver promotes nobody while a key is loaded."""
    core, z, clone = lineage.core, lineage.full("z"), lineage.full("c")
    core.load_key(z, KEY)
    core.promote(clone)
    assert lineage.get("z", "keystatus") == lineage.get("c", "keystatus") == ["unavailable"]
    assert errno_of(lambda: core.load_key(z, KEY, is_noop=True)) == errno.EINVAL
    core.load_key(clone, KEY)
    assert lineage.get("z", "keystatus") == ["available"]
    core.unload_key(clone)


def test_size_of_a_zvol_cannot_be_changed_without_its_key(lineage: World) -> None:
    setting = ["zfs", "set", f"volsize={2 * MIB}", lineage.full("z")]
    assert lineage.runner.run(setting, expected=(0, 255)).status != 0
    assert lineage.get("z", "volsize") == [MIB, "p/z"]
    lineage.core.load_key(lineage.full("z"), KEY)
    lineage.runner.run(setting)
    assert lineage.get("z", "volsize") == [2 * MIB, "p/z"]


@pytest.mark.parametrize(("kind", "size_bytes"), [(ZVOL, 26112), (FILESYSTEM, 50176)])
def test_empty_encrypted_dataset_refers_to_so_much(zfs: World, kind: str, size_bytes: int) -> None:
    if kind == ZVOL:
        _make(zfs, "x")
    else:
        zfs.core.create(zfs.full("x"), FILESYSTEM, ENCRYPTED, key=KEY)
    assert zfs.get("x", "logicalreferenced") == [size_bytes]


def test_locked_datasets_are_destroyed_and_renamed_all_the_same(lineage: World) -> None:
    core = lineage.core
    core.rename(lineage.full("c"), lineage.full("d"))
    core.destroy(lineage.full("d"))
    core.destroy_snapshots([lineage.full("z@s")])
    core.destroy(lineage.full("z"))
    assert lineage.listed("children", "") == set()
