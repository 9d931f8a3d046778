"""A child that stays beside the driver, with real ones."""

import socket
import sys
import tempfile
from pathlib import Path

import pytest

from csi_zfs.system.runner import CommandMissingError, Companion

ECHO = """
import os, socket, sys
channel = socket.socket(fileno=int(sys.argv[1]))
seen = map(int, os.listdir("/proc/self/fd"))  # the one that it looked with is gone again
inherited = sorted(number for number in seen if os.path.exists(f"/proc/self/fd/{number}"))
channel.send(f"{sorted(os.environ)} {os.getpgid(0) == os.getpid()} {inherited}".encode())
channel.recv(1)
"""


def test_companion_talks_over_its_socket_and_has_a_group_and_environment_of_its_own() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, tempfile.TemporaryFile() as kept:
        given = [theirs.fileno(), kept.fileno()]
        child = Companion([sys.executable, "-c", ECHO, str(given[0])], descriptors=given)
        descriptors = [0, 1, 2, *given]
        assert ours.recv(200).decode() == f"['LC_ALL', 'PATH'] True {descriptors}"
        child.end()
        child.end()
    assert not Path(f"/proc/{child.pid}").exists()


def test_companion_whose_program_is_missing_is_a_typed_error() -> None:
    with pytest.raises(CommandMissingError):
        Companion(["/no/such/program"], descriptors=[0])
