import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster.layout import Layout
from e2e.cluster.native import end_node
from e2e.cluster.processes import Process, Processes, child_of
from e2e.cluster.waiting import wait_until
from tests.support.cleanup import loop_devices_below, nothing_left_below

_ALONE = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_LIMIT_S = 30.0

pytestmark = pytest.mark.root


@pytest.fixture(name="layout")
def fixture_layout(tmp_path: Path) -> Iterator[Layout]:
    """The state of a cluster, gone with all that a test leaves."""
    layout = Layout(tmp_path / "state")
    layout.prepare()
    with nothing_left_below(tmp_path):
        yield layout
        for process in Processes(layout.processes).all():
            process.kill_child()
            process.kill()


def start(layout: Layout, name: str) -> Process:
    """Two processes in namespaces of their own, as a node has them."""
    command = [*_ALONE, "sh", "-c", "sleep 60 & exec sleep 60"]
    process = Processes(layout.processes).start(name, command, layout.log(name))
    wait_until(lambda: child_of(process) is not None, "it has begun", limit_s=_LIMIT_S)
    return process


def attach(layout: Layout, node: str) -> Path:
    """A loop device of a file that the node keeps."""
    pool = layout.nodes / node / "kept" / "csi-zfs" / "pool"
    pool.parent.mkdir(parents=True)
    with pool.open("wb") as file:
        file.truncate(1 << 20)
    command = ["losetup", "--find", "--show", str(pool)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def test_node_that_is_ended_takes_all_of_it_along_and_nothing_of_another_one(
    layout: Layout,
) -> None:
    ended, other = start(layout, "node1"), start(layout, "node2")
    first = child_of(ended)
    attach(layout, "node1")
    kept = attach(layout, "node2")
    end_node(layout, "node1")
    assert not ended.is_running()
    assert not Path(f"/proc/{first}").exists()
    assert other.is_running()
    assert loop_devices_below(layout.root) == [kept]


def test_node_that_never_began_is_ended(layout: Layout) -> None:
    end_node(layout, "node1")
    assert Processes(layout.processes).all() == []
