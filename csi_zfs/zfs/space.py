"""How much room there is below the parent of a pool."""

from csi_zfs.datasets.admission import Room
from csi_zfs.zfs.home import Home


class Space:
    """Reads the room of a pool; quotas, reservations and ZFS's own slop space are counted by it."""

    def __init__(self, home: Home) -> None:
        """Look at the parent of the home."""
        self._home = home

    def room(self) -> Room:
        """The room now; raises `PoolUnavailableError`."""
        found = self._home.read("room")
        used_bytes, free_bytes = found["used"], found["available"]
        return Room(total_bytes=used_bytes + free_bytes, free_bytes=free_bytes)
