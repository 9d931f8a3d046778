"""What nodes change on this machine, written down before and put back afterwards."""

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

_FORWARDING = "net.ipv4.ip_forward"
# Every kubelet sets the other ones, and they are the kernel's, not the namespace's.
SETTINGS = (
    _FORWARDING,
    "vm.overcommit_memory",
    "vm.panic_on_oom",
    "kernel.panic",
    "kernel.panic_on_oops",
    "kernel.keys.root_maxkeys",
    "kernel.keys.root_maxbytes",
)


@dataclass(frozen=True, slots=True)
class Host:
    """The machine, as far as nodes change it."""

    settings: Path = Path("/proc/sys")
    # Nodes mount their own directories there.
    mount_points: tuple[Path, ...] = (Path("/var/lib/kubelet"), Path("/var/lib/csi-zfs"))

    def prepare(self, record: Path) -> None:
        """Make it ready for nodes, after its state was written down."""
        paths = {name: self._path(name) for name in SETTINGS}
        before = {name: path.read_text().strip() for name, path in paths.items() if path.exists()}
        missing = [path for path in self.mount_points if not path.exists()]
        state = {"settings": before, "directories": [str(path) for path in missing]}
        record.write_text(json.dumps(state, indent=1), encoding="utf-8")
        for path in missing:
            path.mkdir(parents=True)
        self._path(_FORWARDING).write_text("1")

    def restore(self, record: Path) -> None:
        """Put back what `prepare` wrote down; a directory that somebody uses by now stays."""
        if not record.exists():
            return
        before = json.loads(record.read_text(encoding="utf-8"))
        for name, value in before["settings"].items():
            if self._path(name).read_text().strip() != value:
                self._path(name).write_text(value)
        for name in before["directories"]:
            with contextlib.suppress(OSError):
                Path(name).rmdir()
        record.unlink()

    def _path(self, setting: str) -> Path:
        return self.settings.joinpath(*setting.split("."))
