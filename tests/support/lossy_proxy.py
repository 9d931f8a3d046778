"""A TCP proxy that loses answers: what is behind it has done what it was asked to."""

import enum
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HOST = "127.0.0.1"
_BLOCK_BYTES = 65536


class Loss(enum.Enum):
    """What becomes of an answer."""

    CLOSED = "the connection is closed instead of it"
    HELD = "it never comes, and the connection stays"


class LossyProxy:
    """Passes everything on to a port of this machine, but the answers that are to be lost."""

    def __init__(self, target_port: int) -> None:
        """Listen at a free port."""
        self._target_port = target_port
        self._listener = socket.create_server((HOST, 0))
        self._guard = threading.Lock()
        self._losses: list[Loss] = []
        self._sockets: list[socket.socket] = [self._listener]
        self.lost = 0

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def lose(self, *losses: Loss) -> None:
        """Lose the next answers."""
        with self._guard:
            self._losses += losses

    def serve(self) -> None:
        """Pass connections on until `close`."""
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((HOST, self._target_port))
                self._sockets += [client, server]
                for run in (self._requests, self._answers):
                    threading.Thread(target=run, args=(client, server), daemon=True).start()

    def close(self) -> None:
        """Close everything."""
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := client.recv(_BLOCK_BYTES):
                server.sendall(data)

    def _answers(self, client: socket.socket, server: socket.socket) -> None:
        with suppress(OSError):
            while data := server.recv(_BLOCK_BYTES):
                match self._loss():
                    case None:
                        client.sendall(data)
                    case Loss.CLOSED:
                        client.shutdown(socket.SHUT_RDWR)
                        return
                    case Loss.HELD:
                        return

    def _loss(self) -> Loss | None:
        with self._guard:
            if not self._losses:
                return None
            self.lost += 1
            return self._losses.pop(0)


@contextmanager
def lossy_proxy(target_port: int) -> Iterator[LossyProxy]:
    """A proxy for the length of a `with` block."""
    proxy = LossyProxy(target_port)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
