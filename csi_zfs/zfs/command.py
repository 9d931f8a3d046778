"""Changing native properties of a dataset: the one thing that libzfs_core cannot do.

One `zfs set` for all of them, judged by its exit status and by reading them back.
"""

from collections.abc import Mapping

from csi_zfs.system.runner import CommandFailedError, Runner
from csi_zfs.zfs.home import Home
from csi_zfs.zfs.records import DATASET_PROPERTY


class NativeProperties:
    """The native properties of datasets below a home."""

    def __init__(self, home: Home, runner: Runner) -> None:
        """Change through the runner, read through the home."""
        self._home = home
        self._runner = runner

    def read(self, name: str, *properties: str) -> dict[str, int | str]:
        """The values of some properties, as the kernel has them."""
        native: dict[str, int | str] = self._home.read(
            "read", name, property=DATASET_PROPERTY, native=[*properties]
        )["native"]
        return native

    def set(self, name: str, properties: Mapping[str, str]) -> None:
        """Set some properties of a dataset, as `zfs set` spells them.

        Raises:
            DatasetNotFoundError: there is no such dataset.
            CommandFailedError: `zfs` refused them.
        """
        settings = [f"{key}={value}" for key, value in sorted(properties.items())]
        # `zfs` would unmount what it finds mounted, wherever that is.
        flags = ["-u"] if "mountpoint" in properties else []
        try:
            self._runner.run(["zfs", "set", *flags, *settings, self._home.full(name)])
        except CommandFailedError:
            self._home.read("read", name, property=DATASET_PROPERTY, native=[])
            raise

    def inherit(self, name: str, zfs_property: str) -> None:
        """Forget the value that a dataset has of its own."""
        self._runner.run(["zfs", "inherit", zfs_property, self._home.full(name)])
