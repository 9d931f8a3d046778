"""The emulator's command line."""

import socket
from dataclasses import dataclass
from pathlib import Path

from e2e.vm.images import Images

SPARE_DISKS = 4
# Sparse files: what a guest does not write takes no room.
SPARE_DISK_BYTES = 16 << 30
_MEMORY_MIB = 4096
_CPUS = 2
_KERNEL_ARGUMENTS = (
    *("root=/dev/vda", "rw", "rootflags=noinit_itable", "init=/usr/sbin/csi-zfs-start"),
    *("console=ttyS0", "net.ifnames=0", "quiet", "nokaslr", "mitigations=off"),
    # On a busy machine the emulated timer is late: the kernel would take it for a broken one.
    "no_timer_check",
    # A kernel that has failed ends the emulator, and so the test run, at once.
    *("panic=-1", "oops=panic", "spl.spl_panic_halt=1"),
)


@dataclass(frozen=True, slots=True)
class Machine:
    """One boot: its images, where it keeps what it writes, and how it is reached."""

    images: Images
    scratch: Path
    port: int
    public_key: str
    # Words of the emulator's command line for more disks and network cards.
    attachments: tuple[str, ...] = ()

    @property
    def console(self) -> Path:
        """What the guest's kernel and first process said."""
        return self.scratch / "console.log"

    @property
    def emulator_log(self) -> Path:
        """What the emulator itself said."""
        return self.scratch / "emulator.log"

    def spare_disk(self, number: int) -> Path:
        """The file behind an empty disk, which is `/dev/disk/by-id/virtio-spare-N` in the guest."""
        return self.scratch / f"spare-{number}.img"


def qemu_command(machine: Machine) -> list[str]:
    """The command that boots the machine.

    Software emulation, since a build machine is itself a guest without nested virtualization.  The
    processor is an old one and has no cx16: with newer ones the emulator of Debian 12 crashes the
    kernel.  Nothing is written to the images; nobody but this machine reaches the guest, and the
    guest reaches nobody.
    """
    return [
        *("qemu-system-x86_64", "-machine", "q35", "-cpu", "Nehalem,-cx16"),
        *("-accel", "tcg,thread=multi", "-smp", str(_CPUS), "-m", f"{_MEMORY_MIB}M"),
        *("-nodefaults", "-no-reboot"),
        *("-display", "none", "-serial", f"file:{machine.console}"),
        *("-kernel", str(machine.images.kernel)),
        *("-initrd", str(machine.images.initial_ram_disk)),
        *("-append", kernel_arguments(machine.public_key)),
        *disk("root", machine.images.root, "snapshot=on"),
        *disk("environment", machine.images.second, "read-only=on"),
        *(
            word
            for number in range(SPARE_DISKS)
            for word in disk(f"spare-{number}", machine.spare_disk(number), "discard=unmap")
        ),
        *("-netdev", f"user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:{machine.port}-:22"),
        *("-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-rng-pci"),
        *machine.attachments,
    ]


def kernel_arguments(public_key: str) -> str:
    """The kernel's command line; the key's blanks become commas there."""
    return " ".join([*_KERNEL_ARGUMENTS, f"csi_zfs.key={public_key.strip().replace(' ', ',')}"])


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens at."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def disk(serial: str, file: Path, option: str) -> list[str]:
    """The words for a disk: in their order, the first is /dev/vda."""
    drive = f"if=none,id={serial},file={_quoted(file)},format=raw,cache=unsafe,{option}"
    return ["-drive", drive, "-device", f"virtio-blk-pci,drive={serial},serial={serial}"]


def _quoted(path: Path) -> str:
    return str(path).replace(",", ",,")
