"""Giving back what the pool had promised to a snapshot that goes with something else."""

from collections.abc import Iterator
from contextlib import contextmanager

from csi_zfs.datasets.admission import Claim
from csi_zfs.datasets.api import DatasetNotFoundError
from csi_zfs.zfs.engine import Engine


@contextmanager
def giving_back_with(engine: Engine, snapshot_name: str) -> Iterator[None]:
    """Give back what was promised to a snapshot if it goes in the block, which may be deferred.

    Without a name, nothing.
    """
    with giving_back(engine, snapshot_name, _claim_of_snapshot(engine, snapshot_name)):
        yield


@contextmanager
def giving_back(engine: Engine, snapshot_name: str, claim: Claim) -> Iterator[None]:
    """As above, of a snapshot that was read already."""
    yield
    if claim != Claim() and _claim_of_snapshot(engine, snapshot_name) == Claim():
        engine.ledger.give_back(claim)


def _claim_of_snapshot(engine: Engine, name: str) -> Claim:
    if not name:
        return Claim()
    try:
        return engine.claim_of(engine.objects.snapshot(name))
    except DatasetNotFoundError:
        return Claim()
