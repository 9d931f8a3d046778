"""The helper process's end of the socket; test_calls.py has the whole."""

import errno
import importlib.util
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from csi_zfs.system.clock import SystemClock
from csi_zfs.zfs import wire
from csi_zfs.zfs.calls import Calls
from csi_zfs.zfs.lzc import LibzfsCore, LzcError
from csi_zfs.zfs.pool_state import PoolStates
from csi_zfs.zfs.remote import RemoteLibzfsCore
from csi_zfs.zfs.worker import Server
from tests.support.lzc_worker import make_core

HOLDS = {"call": "holds", "arguments": {"name": "pool/x@s"}}
Asking = Callable[[dict[str, Any]], dict[str, Any]]


class LateLibrary:
    """A library that is there from the second time on."""

    def __init__(self) -> None:
        self.is_there = False

    def __call__(self) -> LibzfsCore:
        if self.is_there:
            return make_core()
        self.is_there = True
        raise LzcError("initialize", errno.ENOENT, ())


@pytest.fixture(name="ask")
def fixture_ask() -> Iterator[Asking]:
    ours, theirs = socket.socketpair()

    def ask(request: dict[str, Any]) -> dict[str, Any]:
        wire.send(ours, request)
        return wire.receive(ours)[0]

    with theirs, ThreadPoolExecutor() as threads:
        serving = threads.submit(Server(LateLibrary()).serve_channel, theirs)
        with ours:
            yield ask
        serving.result()


def test_library_that_was_not_there_is_looked_for_again(ask: Asking) -> None:
    """The module may be loaded after the driver's start."""
    assert ask(HOLDS) == {"error": ["initialize", errno.ENOENT, [], {}, ""]}
    assert ask(HOLDS)["value"].keys() == {"pid"}


def test_call_that_the_interface_does_not_have_is_refused(ask: Asking) -> None:
    answer = ask({"call": "__init__", "arguments": {}})
    assert answer["bug"].startswith("ValueError\n")


@pytest.mark.skipif(
    importlib.util.find_spec("libzfs_core") is not None,
    reason="this machine has OpenZFS's library: e2e/zfs/test_lzc.py shows what it does",
)
def test_machine_without_openzfs_says_so(tmp_path: Path) -> None:
    """With the real command of the helper process."""
    core = RemoteLibzfsCore(Calls(states=PoolStates(tmp_path), clock=SystemClock()))
    with pytest.raises(LzcError) as caught:
        core.exists("pool/x")
    core.close()
    assert (caught.value.call, caught.value.errno) == ("initialize", errno.ELIBACC)
    assert "libzfs_core" in caught.value.detail
