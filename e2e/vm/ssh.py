"""Commands in the guest, through ssh."""

import os
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

# ssh's own status: it did not reach the guest, or lost it.
LOST = 255
_CONNECT_LIMIT_S = 20
# A guest that says nothing for two minutes is dead.
_ALIVE_INTERVAL_S = 15
_ALIVE_COUNT = 8
_OPTIONS = {
    "BatchMode": "yes",
    "ConnectTimeout": str(_CONNECT_LIMIT_S),
    "ServerAliveInterval": str(_ALIVE_INTERVAL_S),
    "ServerAliveCountMax": str(_ALIVE_COUNT),
    # Every boot is reached on 127.0.0.1 alone, with a key of its own: no host to be remembered.
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
    "GlobalKnownHostsFile": "/dev/null",
    "IdentitiesOnly": "yes",
    "LogLevel": "ERROR",
}


# The path of a socket has 108 bytes, and ssh needs some of them for a temporary name.
_SOCKET_PATH_BYTES = 85


@dataclass(frozen=True, slots=True)
class Shell:
    """How a guest is reached, and where this machine keeps what belongs to it."""

    port: int
    scratch: Path

    @property
    def key(self) -> Path:
        """The private key of the boot."""
        return self.scratch / "key"

    def command(self, *words: str, terminal: bool = False) -> list[str]:
        """The command that runs these words in the guest; without words, a login."""
        options = [word for name, value in _OPTIONS.items() for word in ("-o", f"{name}={value}")]
        remote = [shlex.join(words)] if words else []
        return [
            *("ssh", "-F", "none", *options, "-i", str(self.key), "-p", str(self.port)),
            *(["-t"] if terminal else []),
            *(["-S", str(self._socket)] if self._socket else []),
            *("root@127.0.0.1", *remote),
        ]

    def keep_connection(self) -> None:
        """Leave one connection open for all commands: under emulation each costs 0.7 s.

        It ends with the guest.  Commands work without it too.
        """
        if self._socket is not None:
            master = [*self.command()[:-1], "-f", "-N", "-M", "root@127.0.0.1"]
            # The connection stays in the background and must not keep our caller's pipes open.
            subprocess.run(
                master,
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

    @property
    def _socket(self) -> Path | None:
        path = self.scratch / "ssh"
        return path if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES else None

    def script(self, text: str) -> list[str]:
        """The command that runs a shell script in the guest."""
        return self.command("/bin/bash", "--norc", "-euo", "pipefail", "-c", text)

    def answers(self) -> bool:
        """Whether the guest runs a command for us."""
        done = subprocess.run(
            self.command("true"), check=False, capture_output=True, stdin=subprocess.DEVNULL
        )
        return done.returncode == 0


def make_key(path: Path) -> str:
    """Make a key pair without a passphrase; returns the public half."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path.with_suffix(".pub").read_text(encoding="utf-8").strip()
