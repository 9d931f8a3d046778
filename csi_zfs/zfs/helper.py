"""The driver's end of one helper process: questions go out, answers come back in any order."""

import itertools
import logging
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from csi_zfs.domain.errors import OutcomeUnknownError
from csi_zfs.system.runner import Companion
from csi_zfs.zfs import wire
from csi_zfs.zfs.lzc import LzcError

log = logging.getLogger(__name__)


class HelperFailedError(OutcomeUnknownError):
    """The helper process ended or broke in this call, which may have taken effect."""


class Answer:
    """What will come of one call."""

    def __init__(self, call: str) -> None:
        """Nothing yet."""
        self.call = call
        self._is_there = threading.Event()
        self._value: object = None
        self._error: Exception | None = None

    @property
    def is_there(self) -> bool:
        """Whether the call has ended."""
        return self._is_there.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait for the end of the call; returns whether it has ended."""
        return self._is_there.wait(seconds)

    def result(self) -> object:
        """What an ended call returned, or raise what it raised."""
        if self._error is not None:
            raise self._error
        return self._value

    def take(self, value: object) -> None:
        """The call returned."""
        self._value = value
        self._is_there.set()

    def fail(self, error: Exception) -> None:
        """The call raised."""
        self._error = error
        self._is_there.set()


class Helper:
    """One helper process, from its start to its end.  Thread-safe."""

    def __init__(self, command: Sequence[str]) -> None:
        """Start it: `command`, with the number of its socket as the last word."""
        self._channel, theirs = socket.socketpair()
        with theirs:
            words = [*command, str(theirs.fileno())]
            self._process = Companion(words, descriptor=theirs.fileno())
        self._numbers = itertools.count()
        self._answers: dict[int, Answer] = {}
        self._has_ended = False
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._reader = threading.Thread(target=self._read, name="zfs-helper", daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        """Whether it takes no more calls."""
        return self._has_ended

    def ask(self, call: str, arguments: Mapping[str, Any]) -> Answer:
        """Make a call; does not wait for its end.  Raises `HelperFailedError`."""
        answer, number = Answer(call), next(self._numbers)
        packed, descriptors = wire.pack_arguments(arguments)
        request = {"number": number, "call": call, "arguments": packed}
        with self._lock:
            if self._has_ended:
                raise _failed(call)
            self._answers[number] = answer
        try:
            with self._sending:
                wire.send(self._channel, request, descriptors)
        except OSError as exc:
            raise _failed(call) from exc
        return answer

    def end(self) -> None:
        """End it and what is still under way; a call that the kernel holds keeps it alive."""
        with suppress(OSError):  # it ended by itself in this very moment
            self._channel.shutdown(socket.SHUT_RDWR)
        self._reader.join()

    def _read(self) -> None:
        try:
            while True:
                message, _ = wire.receive(self._channel)
                self._deliver(message)
        except (EOFError, OSError):
            self._abandon()

    def _deliver(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            answer = self._answers.pop(message["number"])
        if "error" in message:
            call, number, names, errno_of, detail = message["error"]
            answer.fail(LzcError(call, number, names, errno_of=errno_of, detail=detail))
        elif "bug" in message:
            answer.fail(HelperFailedError(f"{answer.call} broke in the helper: {message['bug']}"))
        else:
            answer.take(message["value"])

    def _abandon(self) -> None:
        with self._lock:
            self._has_ended = True
            abandoned = list(self._answers.values())
            self._answers.clear()
        with self._sending:  # or the number of the descriptor could be another's already
            self._channel.close()
        for answer in abandoned:
            answer.fail(_failed(answer.call))
        log.info("OpenZFS's helper process ended", extra={"calls": len(abandoned)})
        self._process.end()


def _failed(call: str) -> HelperFailedError:
    return HelperFailedError(f"the helper process for OpenZFS ended during {call}: repeat it")
