"""What is cut short on a real pool: a sample of the workflows on fakes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.crash.real_scene import RealScene

Step = Callable[[RealScene], None]


@dataclass(frozen=True, slots=True)
class RealWorkflow:
    """One call, what is there before it, and how all of it is undone.

    Of the points at which the call can be cut short, `points` evenly spread ones are tried; all of
    them for 0.
    """

    name: str
    given: Sequence[Step]
    call: Step
    undo: Sequence[Step]
    points: int = 0

    def __str__(self) -> str:
        return self.name

    def sample(self, effects: int) -> list[int]:
        """The effects before which the process ends; one behind the last is its end."""
        every = list(range(effects + 1))
        if not self.points or self.points >= len(every):
            return every
        return [every[at * effects // (self.points - 1)] for at in range(self.points)]


Scene = RealScene
IN_USE = (Scene.create_xfs, Scene.stage, Scene.publish, Scene.write)

REAL_WORKFLOWS = (
    RealWorkflow("create", (), Scene.create_block, (Scene.delete,)),
    RealWorkflow("snapshot", (), Scene.snapshot, (Scene.delete_snapshot,)),
    RealWorkflow("delete", (Scene.create_block,), Scene.delete, ()),
    RealWorkflow(
        "delete-with-snapshot",
        (Scene.create_block, Scene.snapshot_own),
        Scene.delete,
        (Scene.delete_snapshot,),
    ),
    RealWorkflow("clone", (), Scene.clone, (Scene.delete,)),
    RealWorkflow("group", (), Scene.take_group, (Scene.delete_group,), points=9),
    RealWorkflow("stage", (Scene.create,), Scene.stage, (Scene.unstage, Scene.delete), points=9),
    RealWorkflow(
        "publish",
        (Scene.create, Scene.stage),
        Scene.publish,
        (Scene.put_away, Scene.delete),
    ),
    RealWorkflow("expand", IN_USE, Scene.expand, (Scene.put_away, Scene.delete)),
    RealWorkflow("put-away", IN_USE, Scene.put_away, (Scene.delete,)),
)
