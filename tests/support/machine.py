"""What this machine can run: the tiers of the tests, and why some of them cannot run here."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# A user's PATH may lack these, where mkfs and losetup live.
_SEARCH_PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
_ROOT_TOOLS = ("losetup", "mount", "umount", "blkid", "mkfs.xfs", "mkfs.ext4", "resize2fs")
_OPENZFS = Path("/sys/module/zfs/version")
_PROBE_TIMEOUT_S = 20

# Comma-separated needs ("root", "go") that a CI machine is documented not to meet.
WITHOUT_VARIABLE = "CSI_ZFS_CI_WITHOUT"


@dataclass(frozen=True, slots=True)
class Need:
    """Something that a machine has or lacks; tests ask for it by the marker of the same name."""

    name: str
    why_not: str | None
    remedy: str


@dataclass(frozen=True, slots=True)
class Tier:
    """A tier of the tests, and what it needs of the machine."""

    name: str
    needs: tuple[str, ...] = ()


TIERS = (
    Tier("unit"),
    Tier("contract (fakes)"),
    Tier("contract (real pool)", needs=("root",)),
    Tier("contract (OpenZFS)", needs=("root", "openzfs")),
    Tier("property"),
    Tier("crash (fakes)"),
    Tier("crash (real pool, kill -9)", needs=("root",)),
    Tier("process (the driver and the demo)", needs=("root",)),
    Tier("sanity on fakes", needs=("go",)),
    Tier("proto against the specification", needs=("go",)),
    Tier("chart", needs=("go",)),
)


def needs() -> dict[str, Need]:
    """Everything that a tier may need, by name, as this machine has it."""
    return {
        "root": Need("root", why_no_root_tier(), "sudo make test"),
        "openzfs": Need("openzfs", why_no_openzfs(), "make e2e-zfs"),
        "go": Need("go", why_no_go(), "install Go (https://go.dev/dl), then make test"),
    }


@cache
def why_no_root_tier() -> str | None:
    """Why tests cannot attach loop devices and mount here; None when they can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [tool for tool in _ROOT_TOOLS if shutil.which(tool, path=_SEARCH_PATH) is None]
    if missing:
        return f"needs {', '.join(missing)}"
    if not Path("/dev/loop-control").exists():
        return "needs loop devices, and there is no /dev/loop-control"
    return _complaint("losetup", "--find") or _why_no_mount()


def why_no_openzfs() -> str | None:
    """Why tests cannot use OpenZFS here; None when they can."""
    return None if _OPENZFS.exists() else "needs OpenZFS in the kernel"


@cache
def why_no_go() -> str | None:
    """Why tests cannot build Go programs here; None when they can."""
    return "needs Go" if shutil.which("go") is None else _complaint("go", "version")


def in_ci(environ: Mapping[str, str]) -> bool:
    """Whether a tier that cannot run is a failure instead of a skip."""
    return environ.get("CI", "").lower() not in {"", "0", "false"}


def documented_without(environ: Mapping[str, str]) -> frozenset[str]:
    """The needs that this machine is documented not to meet, so that they may be missing in CI."""
    words = environ.get(WITHOUT_VARIABLE, "").split(",")
    return frozenset(word.strip() for word in words if word.strip())


def header(tiers: tuple[Tier, ...], have: Mapping[str, Need]) -> list[str]:
    """Lines that name the tiers that run, and for each other one the reason and the remedy."""
    lacking = {name: need for name, need in have.items() if need.why_not is not None}
    running = [tier.name for tier in tiers if not lacking.keys() & set(tier.needs)]
    lines = [f"tiers that run: {', '.join(running)}"]
    for tier in tiers:
        for name in tier.needs:
            if name in lacking:
                need = lacking[name]
                lines.append(f"does not run: {tier.name}: {need.why_not} -> {need.remedy}")
    return lines


def _why_no_mount() -> str | None:
    # Root of a container may lack CAP_SYS_ADMIN; a mount namespace shows it and leaves no trace.
    complaint = _complaint("unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt")
    return None if complaint is None else f"needs to mount, and {complaint}"


def _complaint(*command: str) -> str | None:
    """What is wrong with a command that ought to succeed; None when it does."""
    environment = os.environ | {"LC_ALL": "C", "PATH": _SEARCH_PATH}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            env=environment,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return f"`{' '.join(command)}` did not end within {_PROBE_TIMEOUT_S} s"
    if done.returncode == 0:
        return None
    return f"`{' '.join(command)}` fails: {done.stderr.strip() or done.returncode}"
