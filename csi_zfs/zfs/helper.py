"""The driver's end of one helper process: each call under way has a socket of its own.

So the thread that makes a call reads its answer itself, and no other one has to be woken.
"""

import logging
import select
import socket
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.system.runner import Companion
from csi_zfs.zfs import wire
from csi_zfs.zfs.lzc import LzcError

_MS_PER_S = 1000

log = logging.getLogger(__name__)


class HelperFailedError(OutcomeUnknownError):
    """The helper process ended or broke in this call, which may have taken effect."""


class Helper:
    """One helper process, from its start to its end.  Thread-safe."""

    def __init__(self, command: Sequence[str], *, kept: Sequence[int] = ()) -> None:
        """Start it: `command`, with the number of its socket as the last word.

        It has copies of the descriptors `kept` until its end.
        """
        self._door, theirs = socket.socketpair()
        with theirs:
            words = [*command, str(theirs.fileno())]
            self._process = Companion(words, descriptors=[theirs.fileno(), *kept])
        self._free: list[socket.socket] = []
        self._has_ended = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it takes no more calls."""
        with self._lock:
            # It never says anything there: what can be read is the end.
            return self._has_ended or _is_readable(self._door, 0)

    def ask(self, call: str, arguments: Mapping[str, Any]) -> "Answer":
        """Make a call; does not wait for its end.  Raises `HelperFailedError`."""
        packed, descriptors = wire.pack_arguments(arguments)
        try:
            channel = self._taken_channel()
            wire.send(channel, {"call": call, "arguments": packed}, descriptors)
        except OSError as exc:
            raise self.failed(call) from exc
        return Answer(self, channel, call)

    def give_back(self, channel: socket.socket) -> None:
        """Keep a channel for the next call."""
        with self._lock:
            if not self._has_ended:
                self._free.append(channel)
                return
        channel.close()

    def failed(self, call: str) -> HelperFailedError:
        """The error of a call in which it ended; it is asked no more."""
        with self._lock:
            self._has_ended = True
        return HelperFailedError(f"the helper process for OpenZFS ended during {call}: repeat it")

    def end(self) -> None:
        """End it and what is still under way; a call that the kernel holds keeps it alive."""
        with self._lock:
            self._has_ended = True
            free, self._free = self._free, []
        for channel in (self._door, *free):
            channel.close()
        self._process.end()
        log.info("OpenZFS's helper process ended", extra={"pid": self.pid})

    def _taken_channel(self) -> socket.socket:
        with self._lock:
            if self._free:
                return self._free.pop()
            ours, theirs = socket.socketpair()
            try:
                with theirs:
                    wire.pass_on(self._door, theirs)
            except OSError:
                ours.close()
                raise
            return ours


class Answer:
    """What will come of one call."""

    def __init__(self, helper: Helper, channel: socket.socket, call: str) -> None:
        """It comes through the channel, which is free afterwards."""
        self.call = call
        self._helper = helper
        self._channel = channel

    @property
    def is_there(self) -> bool:
        """Whether the call has ended."""
        return self.wait(0)

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the call; returns whether it has ended."""
        return _is_readable(self._channel, seconds)

    def result(self) -> object:
        """What an ended call returned, or raise what it raised; asked for at most once."""
        try:
            message, _ = wire.receive(self._channel)
        except (EOFError, OSError) as exc:
            self._channel.close()
            raise self._helper.failed(self.call) from exc
        self._helper.give_back(self._channel)
        if "error" in message:
            call, number, names, errno_of, detail = message["error"]
            raise LzcError(call, number, names, errno_of=errno_of, detail=detail)
        if "bug" in message:
            raise HelperFailedError(f"{self.call} broke in the helper: {message['bug']}")
        return message["value"]

    def forget(self) -> None:
        """Take no notice of what comes of the call, instead of `result`."""
        self._channel.close()


def _is_readable(channel: socket.socket, seconds: float) -> bool:
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    return bool(poll.poll(seconds * _MS_PER_S))
