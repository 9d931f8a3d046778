"""The end: the driver is stopped, the pool exported, and nothing may be left."""

from e2e.demo.scene import Scene, require
from tests.support.leftovers import find_leftovers, remove_files


def play_ending(scene: Scene) -> list[str]:
    """Take everything down in good order; returns the proof that nothing is left, line by line."""
    driver, paths = scene.driver, scene.driver.paths
    with scene.steps.step("stop the driver") as say:
        driver.stop()
        status = driver.pool_status()
        require(status["volumes"] == 0 and status["snapshots"] == 0, f"the pool still has {status}")
        driver.export_pool()
        say("SIGTERM; pool exported")
    left = find_leftovers(paths.root, paths.kubelet_dir, paths.state_dir)
    left.require_none()
    count = remove_files(paths.root)
    require(not paths.root.exists(), f"{paths.root} is still there")
    return [
        f"{len(left.mounts)} mounts in /proc/self/mountinfo",
        f"{len(left.loops)} loop devices in /sys/block/loop*/loop/backing_file",
        f"{status['volumes']} volumes and {status['snapshots']} snapshots in the pool",
        f"{len(left.files)} files where volumes were mounted and noted",
        f"{paths.root} is gone, with the {count} files of driver and pool",
    ]
