"""The driver is killed under a running workload."""

from csi_zfs.domain.sizes import GIB
from e2e.demo.scene import Scene, grown, require, room_of
from e2e.demo.writers import CounterWriter
from tests.support.orchestrator import PublishedVolume


def play_crash(scene: Scene, volume: PublishedVolume) -> None:
    """Play the whole part."""
    with CounterWriter([volume.target_path / "counter"]) as writer:
        with scene.steps.step("kill -9 the driver") as say:
            killed = scene.driver.pid
            before = writer.wait_for_more(5)
            scene.driver.kill()
            after = writer.wait_for_more(50)
            say(f"process {killed} is gone, its writer is not: {before} -> {after}")
        with scene.steps.step("start it again") as say:
            scene.driver.start()
            say(f"process {scene.driver.pid} is ready")
        with scene.steps.step("use the volume as before") as say:
            _use(scene, volume)
            count = writer.wait_for_more(5)
            say(f"usage, snapshot and {grown(3 * GIB, 4 * GIB)} work; the writer is at {count}")
    with scene.steps.step("publish it anew") as say:
        scene.orchestrator.unpublish(volume)
        again = scene.orchestrator.publish(volume.name, volume.volume_id, volume.capability)
        require((again.target_path / "counter").exists(), "the counter is lost")
        say("unpublish, unstage, stage and publish work, and the data is there")


def _use(scene: Scene, volume: PublishedVolume) -> None:
    client = scene.client
    require(len(client.stats(volume.volume_id, volume.target_path)) > 0, "no usage")
    snapshot = client.create_snapshot("after-the-crash", volume.volume_id)
    client.delete_snapshot(snapshot.snapshot_id)
    before_bytes = room_of(volume)
    scene.orchestrator.expand(volume, 4 * GIB)
    require(room_of(volume) > before_bytes, "the file system has not grown")
