"""Uses of one path: which differences are refused, and by what words."""

from dataclasses import replace
from pathlib import Path

import pytest

from csi_zfs.domain.capabilities import AccessMode, AccessType
from csi_zfs.services.node_state import Use
from csi_zfs.services.uses import DifferentUseError, require_same_use
from tests.support.builders import mount_capability

PATH = Path("/k/target")
MOUNT = mount_capability("ext4")
USE = Use(MOUNT)


@pytest.mark.parametrize("existing", [None, USE])
def test_path_that_is_free_or_in_the_same_use_is_taken(existing: Use | None) -> None:
    require_same_use(PATH, existing, USE)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (Use(replace(MOUNT, access_mode=AccessMode.SINGLE_NODE_MULTI_WRITER)), "access mode"),
        (Use(replace(MOUNT, access_type=AccessType.BLOCK)), "access type"),
        (Use(replace(MOUNT, fs_type="xfs")), "fs_type"),
        (Use(replace(MOUNT, mount_flags=("noatime",))), "mount flags"),
        (Use(MOUNT, is_read_only=True), "readonly"),
        (Use(replace(MOUNT, fs_type="xfs"), is_read_only=True), "fs_type, readonly"),
    ],
)
def test_path_in_another_use_is_refused_with_exactly_what_differs(wanted: Use, words: str) -> None:
    """rules.md B1, D."""
    with pytest.raises(DifferentUseError, match=f"{PATH} is in use .* a different {words}$"):
        require_same_use(PATH, USE, wanted)
