"""The working tree in the guest: made equal to the one outside."""

import subprocess
from pathlib import Path

from e2e.vm.guest import Guest
from e2e.vm.tree import archive_tree

CHECKOUT_IN_GUEST = "/root/csi-zfs"
_LIMIT_S = 120.0
# Compiled modules stay: they hold as long as the time of their source is the same, and compiling
# is what takes long in there.
_UNPACK = f"""
cat >/run/tree.tar
cd {CHECKOUT_IN_GUEST}
tar --extract --file /run/tree.tar
tar --list --file /run/tree.tar | LC_ALL=C sort >/run/wanted
find . -name __pycache__ -prune -o ! -type d -printf '%P\\n' | LC_ALL=C sort >/run/found
LC_ALL=C comm -13 /run/wanted /run/found | xargs --no-run-if-empty --delimiter '\\n' rm --
"""


def sync(checkout: Path, guest: Guest) -> None:
    """Copy the working tree, uncommitted changes included; what is not in it goes in the guest.

    Raises:
        GuestFailedError: the guest did not take it.
    """
    try:
        done = subprocess.run(
            guest.shell.script(_UNPACK),
            check=False,
            input=archive_tree(checkout),
            capture_output=True,
            timeout=_LIMIT_S,
        )
    except subprocess.TimeoutExpired as exc:
        raise guest.failure(f"did not take the working tree within {_LIMIT_S:g} s") from exc
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise guest.failure(f"did not take the working tree ({words})")
