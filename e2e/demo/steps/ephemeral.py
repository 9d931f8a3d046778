"""A volume that lives as long as its pod."""

import os
import secrets

from csi_zfs.domain.sizes import format_size
from e2e.demo.scene import Scene, require


def play_ephemeral(scene: Scene) -> None:
    """Play the whole part; nothing is there at its end."""
    with scene.steps.step("an inline ephemeral volume") as say:
        ephemeral_id = f"csi-{secrets.token_hex(32)}"
        pod = scene.orchestrator.pod_directory("scratch")
        target_path = pod / "mount"
        scene.client.publish_ephemeral(ephemeral_id, target_path, {"size": "64Mi"})
        require(os.path.ismount(target_path), f"{target_path} is not a mount")
        (target_path / "scratch").write_bytes(bytes(1 << 20))
        room = os.statvfs(target_path)
        scene.client.unpublish(ephemeral_id, target_path)
        require(not target_path.exists(), f"{target_path} is still there")
        pod.rmdir()
        say(
            f"{format_size(room.f_blocks * room.f_frsize)} ext4: made by publish, written,"
            " gone with unpublish"
        )
