"""What every node can do, whether it is native or a virtual machine."""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from e2e.cluster.errors import CommandFailedError
from e2e.cluster.layout import Address
from e2e.cluster.node_files import RUN
from e2e.cluster.waiting import wait_until

_COMMAND_LIMIT_S = 120.0
_IMPORT_LIMIT_S = 600.0
_CONTAINERD_LIMIT_S = 120.0


class Node(Protocol):
    """A node of the cluster."""

    @property
    def name(self) -> str:
        """Its name in the cluster."""
        ...

    @property
    def address(self) -> Address:
        """Where it is on the network."""
        ...

    def launch(self) -> None:
        """Begin to start it: again, after `kill`, with what it had on its disks."""
        ...

    def finish(self) -> None:
        """Wait until its containerd is about to come up."""
        ...

    def kill(self) -> None:
        """End it as a power cut does; it is gone when this returns."""
        ...

    def command(self, *words: str) -> list[str]:
        """The command that runs these words there."""
        ...

    def program(self, name: str) -> str:
        """The path of a program of the cluster there."""
        ...

    def collect(self, target: Path) -> None:
        """Copy its logs into a directory of this machine."""
        ...


def run_on(
    node: Node, *words: str, data: bytes | None = None, limit_s: float = _COMMAND_LIMIT_S
) -> str:
    """Run a command on a node; returns what it printed.

    Raises:
        CommandFailedError: it ended with another status than 0, or not in time.
    """
    try:
        done = subprocess.run(
            node.command(*words),
            check=False,
            capture_output=True,
            input=data or b"",
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired as exc:
        raise CommandFailedError(f"{words[0]} on {node.name} takes over {limit_s:g} s") from exc
    if done.returncode != 0:
        words_of_it = (done.stdout + done.stderr).decode(errors="replace").strip()
        raise CommandFailedError(
            f"{words[0]} on {node.name} ended with {done.returncode}: {words_of_it}"
        )
    return done.stdout.decode(errors="replace")


def kill_service(node: Node, service: str) -> None:
    """Kill containerd, the kubelet or the proxy of a node, which its first process starts again."""
    run_on(node, "sh", "-c", f'kill -KILL "$(cat {RUN}/{service}.pid)"')


def has_containerd(node: Node) -> bool:
    """Whether its containerd answers."""
    return _ctr(node, "version").returncode == 0


def images_on(node: Node) -> dict[str, str]:
    """The digests of the images that a node has, by name."""
    return parse_images(_checked(node, _ctr(node, "images", "list")))


def parse_images(text: str) -> dict[str, str]:
    """The digests in the table that `ctr images list` prints: name, type, digest and so on."""
    rows = [line.split() for line in text.splitlines()[1:]]
    return {row[0]: row[2] for row in rows if len(row) > 2}


def import_images(node: Node, images: Mapping[str, Path]) -> None:
    """Import the archives of images whose names a node lacks."""
    what = f"containerd of {node.name} answers"
    wait_until(lambda: has_containerd(node), what, limit_s=_CONTAINERD_LIMIT_S)
    known = images_on(node)
    for name, archive in images.items():
        if name not in known:
            load_archive(node, archive)


def load_archive(node: Node, archive: Path) -> None:
    """Import the archive of images that this machine has."""
    with archive.open("rb") as file:
        done = subprocess.run(
            _ctr_command(node, ["images", "import", "-"]),
            check=False,
            capture_output=True,
            stdin=file,
            timeout=_IMPORT_LIMIT_S,
        )
    _checked(node, done)


def _ctr(node: Node, *words: str) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        _ctr_command(node, words),
        check=False,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=_IMPORT_LIMIT_S,
    )


def _ctr_command(node: Node, words: Sequence[str]) -> list[str]:
    return node.command(node.program("ctr"), "--namespace", "k8s.io", *words)


def _checked(node: Node, done: "subprocess.CompletedProcess[bytes]") -> str:
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise CommandFailedError(f"containerd of {node.name}: {words}")
    return done.stdout.decode()
