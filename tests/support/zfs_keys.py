"""The keys of the fake OpenZFS: who holds one, what loads, unloads and changes it."""

from collections.abc import Mapping
from errno import EACCES, EBUSY, EEXIST, EINVAL

from csi_zfs.zfs.lzc import Properties
from tests.support.zfs_state import FakeDataset, FakeZpool, RefusedError, Value, root_of

_NAMES = ("encryption", "keyformat", "keylocation")
_AES_256_GCM, _RAW = 8, 1
_KEY_BYTES = 32


def begin(dataset: FakeDataset, properties: Mapping[str, Value], key: bytes) -> None:
    """Make a new dataset the root of a lineage, if it is to be encrypted; EINVAL."""
    given = {name: properties[name] for name in _NAMES if name in properties}
    if not given and not key:
        return
    if given != {"encryption": _AES_256_GCM, "keyformat": _RAW, "keylocation": "prompt"}:
        raise RefusedError(EINVAL)
    _require_key(key)
    dataset.wrapping_key, dataset.is_key_loaded = key, True


def without_keys(properties: Properties) -> dict[str, Value]:
    """The properties that are set as all others are."""
    return {name: value for name, value in properties.items() if name not in _NAMES}


def load(root: FakeDataset, key: bytes, *, is_noop: bool) -> None:
    """Load a key, or only check it: EINVAL, EACCES: it is another one, EEXIST."""
    _require_root(root)
    _require_key(key)
    if key != root.wrapping_key:
        raise RefusedError(EACCES)
    if root.is_key_loaded and not is_noop:
        raise RefusedError(EEXIST)
    root.is_key_loaded = root.is_key_loaded or not is_noop


def unload(pool: FakeZpool, root: FakeDataset) -> None:
    """Forget a key: EACCES: none is loaded for it, EBUSY: one of the lineage is open."""
    if not root.is_key_loaded:
        raise RefusedError(EACCES)
    if any(one.open_count for one in pool.datasets.values() if root_of(one) is root):
        raise RefusedError(EBUSY)
    root.is_key_loaded = False


def change(root: FakeDataset, key: bytes, properties: Properties) -> None:
    """Take another key: EINVAL, also without its format, EACCES: it is not loaded."""
    _require_root(root)
    _require_key(key)
    if dict(properties) != {"keyformat": _RAW}:
        raise RefusedError(EINVAL)
    if not root.is_key_loaded:
        raise RefusedError(EACCES)
    root.wrapping_key = key


def move(old_root: FakeDataset, new_root: FakeDataset) -> None:
    """A promote made another dataset the root; what was loaded counts no more."""
    new_root.wrapping_key, old_root.wrapping_key = old_root.wrapping_key, b""
    old_root.is_key_loaded = new_root.is_key_loaded = False


def _require_root(dataset: FakeDataset) -> None:
    if not dataset.wrapping_key:
        raise RefusedError(EINVAL)


def _require_key(key: bytes) -> None:
    if len(key) != _KEY_BYTES:
        raise RefusedError(EINVAL)
