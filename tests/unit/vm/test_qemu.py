import itertools
import socket
from pathlib import Path

import pytest

from e2e.vm.images import Images
from e2e.vm.qemu import SPARE_DISKS, Machine, free_port, kernel_arguments, qemu_command

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0+/= "


@pytest.fixture(name="command")
def fixture_command() -> list[str]:
    images = Images(Path("/cache/system-1"), Path("/cache/environment-2"))
    return qemu_command(Machine(images, Path("/cache/guests/a,b"), 4022, KEY))


def values_of(option: str, command: list[str]) -> list[str]:
    return [value for name, value in itertools.pairwise(command) if name == option]


def test_images_are_never_written(command: list[str]) -> None:
    root, environment, *spare = values_of("-drive", command)
    assert "file=/cache/system-1/root.img" in root
    assert root.endswith("snapshot=on")
    assert "file=/cache/environment-2/environment.img" in environment
    assert environment.endswith("read-only=on")
    assert len(spare) == SPARE_DISKS
    assert all("file=/cache/guests/a,,b/spare-" in drive for drive in spare)


def test_disks_have_serials_by_which_the_guest_finds_them(command: list[str]) -> None:
    disks = [device for device in values_of("-device", command) if "virtio-blk" in device]
    serials = [device.rpartition("serial=")[2] for device in disks]
    assert serials == ["root", "environment", *(f"spare-{number}" for number in range(SPARE_DISKS))]


def test_guest_reaches_nobody_and_is_reached_from_this_machine_alone(command: list[str]) -> None:
    assert values_of("-netdev", command) == [
        "user,id=net,restrict=on,hostfwd=tcp:127.0.0.1:4022-:22"
    ]


def test_processor_is_one_that_the_emulator_does_not_crash_with(command: list[str]) -> None:
    assert values_of("-cpu", command) == ["Nehalem,-cx16"]
    assert not any("kvm" in word for word in command)


def test_kernel_gets_the_key_as_one_word() -> None:
    words = kernel_arguments(KEY).split()
    assert words[-1] == "csi_zfs.key=ssh-ed25519,AAAAC3NzaC1lZDI1NTE5AAAAIJ0+/="
    assert words.count("panic=-1") == 1


def test_free_port_can_be_listened_at() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", free_port()))
