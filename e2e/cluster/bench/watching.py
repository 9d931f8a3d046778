"""When objects come to a state: what a watch of kubectl says, with the time at which it says it."""

import json
import os
import select
import subprocess
import time
from collections.abc import Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from e2e.cluster.errors import CommandFailedError
from e2e.cluster.kubectl import Kubectl, Object, client_environment

LIMIT_S = 300.0
_BLOCK_BYTES = 65536


@dataclass(frozen=True, slots=True)
class Wanted:
    """A state of objects of a kind: what a JSON path without braces shall be."""

    kind: str
    path: str
    value: str


BOUND = Wanted("persistentvolumeclaims", ".status.phase", "Bound")
READY = Wanted("pods", '.status.conditions[?(@.type=="Ready")].status', "True")
READY_TO_USE = Wanted("volumesnapshots", ".status.readyToUse", "true")


def made(kubectl: Kubectl, objects: Collection[Object], wanted: Wanted) -> float:
    """Make objects; returns after how many seconds all of the wanted kind were as wanted.

    The clock begins with the command that makes them.

    Raises:
        CommandFailedError: they are not within `LIMIT_S`, or kubectl fails.
    """
    names = {one["metadata"]["name"] for one in objects if _is_of(one, wanted.kind)}
    # The watch ends first, and with it who reads it, if the objects cannot be made.
    with ThreadPoolExecutor(1) as pool, watching(kubectl, wanted) as lines:
        begin = time.monotonic()
        arrival = pool.submit(arrival_of, lines, names, wanted.value)
        _create(kubectl, objects)
        return arrival.result() - begin


def arrival_of(lines: Iterator[tuple[float, str]], names: Collection[str], value: str) -> float:
    """When the last name had the value, by lines of `NAME VALUE`; it reads no further than that."""
    missing = set(names)
    for moment, line in lines:
        name, _, found = line.partition(" ")
        if found == value:
            missing.discard(name)
        if not missing:
            return moment
    raise CommandFailedError(f"the watch ended before {', '.join(sorted(missing))}")


@contextmanager
def watching(kubectl: Kubectl, wanted: Wanted) -> Iterator[Iterator[tuple[float, str]]]:
    """The lines of a watch while a `with` block lasts: a name and its value each."""
    template = f'{{.metadata.name}} {{{wanted.path}}}{{"\\n"}}'
    command = [
        *(kubectl.layout.program("kubectl"), f"--namespace={kubectl.namespace}", "get"),
        *(wanted.kind, "--watch", f"--output=jsonpath={template}"),
    ]
    with subprocess.Popen(
        command,
        env=client_environment(kubectl.layout),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        try:
            yield timed_lines(process.stdout, limit_s=LIMIT_S)
        finally:
            process.kill()


def timed_lines(pipe: IO[bytes], *, limit_s: float) -> Iterator[tuple[float, str]]:
    """Each line, with the moment at which it came.

    Raises:
        CommandFailedError: the next one does not come within `limit_s` of the first question.
    """
    deadline, rest = time.monotonic() + limit_s, b""
    while True:
        left_s = deadline - time.monotonic()
        if left_s <= 0 or not select.select([pipe], [], [], left_s)[0]:
            raise CommandFailedError(f"not everything is as wanted after {limit_s:g} s")
        if not (block := os.read(pipe.fileno(), _BLOCK_BYTES)):
            return
        moment = time.monotonic()
        *lines, rest = (rest + block).split(b"\n")
        yield from ((moment, line.decode()) for line in lines)


def _create(kubectl: Kubectl, objects: Collection[Object]) -> None:
    # A validation would read all that the API server can do, each time.
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": [*objects]})
    kubectl.run("create", "--validate=false", "--filename=-", data=text)


def _is_of(one: Object, kind: str) -> bool:
    return f"{one['kind'].lower()}s" == kind
