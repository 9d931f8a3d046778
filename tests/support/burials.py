"""What buries the dead of a pool, without a driver around it."""

from csi_zfs.datasets.api import DatasetManager
from csi_zfs.services.burial import Burial
from csi_zfs.services.catalogue import Catalogue
from csi_zfs.services.locks import KeyedLocks
from csi_zfs.services.pools import Pools


def burial_on(pool: DatasetManager) -> Burial:
    """With a catalogue of its own, that knows of nothing yet."""
    return Burial(Catalogue(Pools([pool])), KeyedLocks())
