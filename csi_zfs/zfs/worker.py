"""The helper process: makes OpenZFS's calls, so that none of them can keep the driver from ending.

`python -m csi_zfs.zfs.worker <descriptor>` serves the socket that it inherited, and ends when the
other end closes it.
"""

import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from csi_zfs.zfs import wire
from csi_zfs.zfs.lzc import LibzfsCore, LzcError

_CALLS = frozenset(name for name in vars(LibzfsCore) if not name.startswith("_"))


class Server:
    """Serves the calls that come through channels, each channel in a thread of its own."""

    def __init__(self, make_core: Callable[[], LibzfsCore]) -> None:
        """Make the core at the first call, and again at the next where that failed."""
        self._make_core = make_core
        self._core: LibzfsCore | None = None
        self._lock = threading.Lock()

    def serve(self, door: socket.socket) -> None:
        """Serve the channels that come through the door until its other end is closed.

        Calls that have begun may go on.
        """
        with suppress(EOFError, ConnectionResetError):
            while True:
                channel = wire.take(door)
                threading.Thread(target=self.serve_channel, args=(channel,), daemon=True).start()

    def serve_channel(self, channel: socket.socket) -> None:
        """Answer one call after the other until the other end is closed."""
        with channel, suppress(EOFError, ConnectionResetError, BrokenPipeError):
            while True:
                request, descriptors = wire.receive(channel)
                answer = self._outcome(request, descriptors)
                for descriptor in descriptors:
                    os.close(descriptor)
                wire.send(channel, answer)

    def _outcome(self, request: dict[str, Any], descriptors: Sequence[int]) -> dict[str, Any]:
        try:
            value = self._call(request["call"], request["arguments"], descriptors)
        except LzcError as exc:
            return {"error": [exc.call, exc.errno, exc.names, exc.errno_of, exc.detail]}
        except Exception as exc:  # noqa: BLE001 - the other end raises it
            # An error's text may quote an argument, and so a key; its frames do not.
            frames = "".join(traceback.format_tb(exc.__traceback__))
            return {"bug": f"{type(exc).__name__}\n{frames}"}
        return {"value": value}

    def _call(self, call: str, packed: dict[str, Any], descriptors: Sequence[int]) -> object:
        if call not in _CALLS:
            raise ValueError(call)
        arguments = wire.unpack_arguments(packed, descriptors)
        result: object = getattr(self._made_core(), call)(**arguments)
        return result

    def _made_core(self) -> LibzfsCore:
        with self._lock:
            if self._core is None:
                self._core = self._make_core()
            return self._core


def run(make_core: Callable[[], LibzfsCore], descriptor: int) -> None:
    """Serve an inherited socket, then end this process at once, whatever its threads do."""
    Server(make_core).serve(socket.socket(fileno=descriptor))
    os._exit(0)


def main() -> None:
    """Serve with the real library."""
    from csi_zfs.zfs.binding import DirectLibzfsCore

    run(DirectLibzfsCore, int(sys.argv[1]))


if __name__ == "__main__":
    main()
