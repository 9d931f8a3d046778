"""Which versions of the kernel's OpenZFS the driver works with."""

import re
from pathlib import Path

from csi_zfs.zfs.errors import ModuleVersionError

MODULE_VERSION = Path("/sys/module/zfs/version")
# The image's libraries and commands are of 2.3, and the tests on real OpenZFS run on 2.3 only.
# OpenZFS promises its /dev/zfs to no other series, and 2.3 brought `zpool status -j`.
SERVED_SERIES = (2, 3)
# Releases of a series end far below: from here on the number is of the development of the next one.
_DEVELOPMENT = 99
_RELEASE = re.compile(r"(\d+)\.(\d+)\.(\d+)(?!-rc)(?:[-_].*)?", re.ASCII)


def require_served_module(path: Path = MODULE_VERSION) -> str:
    """The version of the kernel module, as it says it, if it is one that the driver works with.

    Raises:
        ModuleVersionError: it is another one, or OpenZFS is not loaded.
    """
    try:
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError as exc:
        raise ModuleVersionError("OpenZFS is not loaded into this machine's kernel") from exc
    if not _is_served(text):
        served = ".".join(map(str, SERVED_SERIES))
        msg = f"the kernel has OpenZFS {text}; the driver works with releases of {served}"
        raise ModuleVersionError(msg)
    return text


def _is_served(text: str) -> bool:
    match = _RELEASE.fullmatch(text)
    if match is None:
        return False
    major, minor, patch = map(int, match.groups())
    return (major, minor) == SERVED_SERIES and patch < _DEVELOPMENT
