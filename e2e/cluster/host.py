"""What nodes change on this machine, written down before and put back afterwards."""

import contextlib
import json
from pathlib import Path

# Every kubelet sets the last ones, and they are the kernel's, not the namespace's.
SETTINGS = (
    "net.ipv4.ip_forward",
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)
# Nodes mount their own directories there.
MOUNT_POINTS = (Path("/var/lib/kubelet"), Path("/var/lib/csi-zfs"))


def prepare_host(record: Path) -> None:
    """Make the machine ready for nodes, after its state was written down."""
    found = {name: _path(name).read_text().strip() for name in SETTINGS if _path(name).exists()}
    missing = [str(path) for path in MOUNT_POINTS if not path.exists()]
    record.write_text(json.dumps({"settings": found, "directories": missing}, indent=1))
    for name in missing:
        Path(name).mkdir(parents=True)
    _path("net.ipv4.ip_forward").write_text("1")


def restore_host(record: Path) -> None:
    """Put back what `prepare_host` wrote down; a directory that is in use by now stays."""
    if not record.exists():
        return
    before = json.loads(record.read_text(encoding="utf-8"))
    for name, value in before["settings"].items():
        if _path(name).read_text().strip() != value:
            _path(name).write_text(value)
    for name in before["directories"]:
        with contextlib.suppress(OSError):
            Path(name).rmdir()
    record.unlink()


def _path(setting: str) -> Path:
    return Path("/proc/sys", *setting.split("."))
