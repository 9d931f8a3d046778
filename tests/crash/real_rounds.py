"""Rounds of one workflow on a real driver, undisturbed and cut short by SIGKILL."""

from collections.abc import Callable, Iterable

import grpc
import pytest

from tests.crash.real_scene import Kept, RealScene
from tests.crash.real_workflows import RealWorkflow
from tests.crash.real_world import seen_of
from tests.support.crashing_driver import Plan
from tests.support.csi_messages import block_capability, mount_capability
from tests.support.files import Stop
from tests.support.orchestrator import Orchestrator
from tests.support.process import RealDriver

CRASHING = "tests.support.crashing_driver"
KILLED = -9
OnPool = Callable[[RealDriver], Iterable[str]]


def kept_in_use(driver: RealDriver) -> Kept:
    """Two new volumes that are in use, with data."""
    orchestrator = Orchestrator(driver.client, driver.paths.kubelet_dir)
    ids = {}
    for name, capability in (("kept-fs", mount_capability()), ("kept-block", block_capability())):
        ids[name] = driver.client.create_volume(name, capability=capability).volume_id
        published = orchestrator.publish(name, ids[name], capability)
    (orchestrator.published["kept-fs"].target_path / "file").write_text("kept")
    published.target_path.write_bytes(b"kept")
    return Kept(ids["kept-fs"], ids["kept-block"])


class Rounds:
    """Rounds of one workflow, each with names of its own, on one driver."""

    def __init__(
        self, workflow: RealWorkflow, driver: RealDriver, kept: Kept, on_pool: OnPool
    ) -> None:
        """See what is on the pool by `on_pool`."""
        self.on_pool = on_pool
        self.workflow = workflow
        self.driver = driver
        self.kept = kept
        self.plan = Plan(driver.paths.config)
        self.before = self.seen("nothing")

    def undisturbed(self) -> tuple[list[str], list[str]]:
        """The effects of the call, and what it leaves."""
        scene = self.begin("undisturbed")
        self.plan.make()
        self.workflow.call(scene)
        effects = self.plan.drop()
        seen = self.seen(scene.token)
        self._undo(scene)
        return effects, seen

    def disturbed(self, number: int, stop: Stop) -> list[str]:
        """What a call leaves that is cut short there, and repeated with another driver."""
        scene = self.begin(f"{stop.name.lower()}-{number}")
        self.plan.make(number, stop)
        with pytest.raises(grpc.RpcError):
            self.workflow.call(scene)
        assert self.driver.wait() == KILLED
        assert len(self.plan.drop()) == number + 1
        self.driver.start(module=CRASHING)
        return self.repeated(scene)

    def repeated(self, scene: RealScene) -> list[str]:
        """What the call leaves that is made once more; it is undone afterwards."""
        self.workflow.call(scene)
        seen = self.seen(scene.token)
        self._undo(scene)
        return seen

    def begin(self, token: str) -> RealScene:
        """What is there before the call."""
        scene = RealScene(self.driver, token, self.kept)
        for step in self.workflow.given:
            step(scene)
        return scene

    def _undo(self, scene: RealScene) -> None:
        for step in self.workflow.undo:
            step(scene)
        assert self.seen(scene.token) == self.before

    def seen(self, token: str) -> list[str]:
        """What there is now."""
        return seen_of(self.driver, token, self.on_pool(self.driver))
