"""How the driver and its helper process talk: JSON behind its length, with file descriptors.

Through one socket, the door, the helper gets others, the channels: each has one call at a time, and
then its answer.  Both ends are the same program, so there is no version.  Nothing here is ever
logged: an encryption key is among the arguments.
"""

import array
import json
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from csi_zfs.datasets.api import DatasetKind
from csi_zfs.zfs.lzc import SendFlag

_LENGTH = struct.Struct("!I")
_MOST_DESCRIPTORS = 1
_NEW_CHANNEL = b"c"


def pass_on(door: socket.socket, channel: socket.socket) -> None:
    """Give the other end a channel for one call after the other.  Raises `OSError`."""
    socket.send_fds(door, [_NEW_CHANNEL], [channel.fileno()])


def take(door: socket.socket) -> socket.socket:
    """Wait for a channel that `pass_on` gave.

    Raises:
        EOFError: the other end is closed.
    """
    data, descriptors, _, _ = socket.recv_fds(door, len(_NEW_CHANNEL), 1, socket.MSG_CMSG_CLOEXEC)
    if not data:
        raise EOFError("the other end of the socket is closed")
    return socket.socket(fileno=descriptors[0])


def send(
    channel: socket.socket, message: Mapping[str, Any], descriptors: Sequence[int] = ()
) -> None:
    """Send one message.  Raises `OSError`."""
    body = json.dumps(message).encode("ascii")
    data = _LENGTH.pack(len(body)) + body
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
    sent = channel.sendmsg([data], [rights] if descriptors else [])
    channel.sendall(memoryview(data)[sent:])


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Wait for one message; the descriptors are the caller's to close.

    Raises:
        EOFError: the other end is closed.
    """
    length, descriptors = _receive_exactly(channel, _LENGTH.size)
    body, _ = _receive_exactly(channel, _LENGTH.unpack(length)[0])
    return json.loads(body), descriptors


def pack_arguments(arguments: Mapping[str, Any]) -> tuple[dict[str, Any], list[int]]:
    """The arguments of a call as JSON has them, and the descriptors to send along."""
    packed = dict(arguments)
    if "key" in packed:
        packed["key"] = packed["key"].hex()
    if "flags" in packed:
        packed["flags"] = sorted(packed["flags"])
    return packed, [packed.pop("descriptor")] if "descriptor" in packed else []


def unpack_arguments(packed: Mapping[str, Any], descriptors: Sequence[int]) -> dict[str, Any]:
    """The arguments of a call as `LibzfsCore` takes them."""
    arguments = dict(packed)
    if "key" in arguments:
        arguments["key"] = bytes.fromhex(arguments["key"])
    if "kind" in arguments:
        arguments["kind"] = DatasetKind(arguments["kind"])
    if "flags" in arguments:
        arguments["flags"] = frozenset(map(SendFlag, arguments["flags"]))
    if descriptors:
        arguments["descriptor"] = descriptors[0]
    return arguments


def _receive_exactly(channel: socket.socket, size: int) -> tuple[bytearray, list[int]]:
    data, descriptors = bytearray(size), array.array("i")
    room = socket.CMSG_SPACE(_MOST_DESCRIPTORS * descriptors.itemsize)
    filled = 0
    while filled < size:
        count, rights, _, _ = channel.recvmsg_into(
            [memoryview(data)[filled:]], room, socket.MSG_CMSG_CLOEXEC
        )
        if count == 0:
            raise EOFError("the other end of the socket is closed")
        filled += count
        for _, _, content in rights:
            descriptors.frombytes(content)
    return data, list(descriptors)
