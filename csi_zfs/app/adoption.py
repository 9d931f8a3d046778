"""Taking over what pools hold, for the command line: as PersistentVolumes, or as volumes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from csi_zfs.app.opening import Opener
from csi_zfs.app.wiring import identity_of
from csi_zfs.datasets.api import RecordCorruptError
from csi_zfs.domain.errors import CsiZfsError, InvalidRequestError
from csi_zfs.domain.ids import VolumeId
from csi_zfs.reflink.place import Tools
from csi_zfs.services.adoption import volumes_on
from csi_zfs.services.entries import VolumeEntry, volume_of
from csi_zfs.services.persistent_volumes import KubernetesObject, SecretName, persistent_volumes
from csi_zfs.settings import PoolSettings, Settings


class PoolChoiceError(InvalidRequestError):
    """Datasets made by hand are in one pool on OpenZFS, and it is not said in which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptionRequest:
    """What to take over.

    Attributes:
        names: datasets made by hand that become volumes; none for all volumes that there are.
        content: what these hold; see `Adoption.adopt`.
        storage_class: the class that the PersistentVolumes name.
        secret: what those of encrypted volumes name.
        is_dry_run: make no volumes, and only say what would be.
    """

    names: Sequence[str] = ()
    content: str = ""
    storage_class: str = ""
    secret: SecretName | None = None
    is_dry_run: bool = False


@dataclass(frozen=True, slots=True)
class Adopted:
    """PersistentVolumes to make, and what could not be read or taken over: all the rest could."""

    objects: Sequence[KubernetesObject]
    failures: Sequence[str]


@dataclass(slots=True)
class _Found:
    entries: list[VolumeEntry] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, about: str, find: Callable[[], Iterable[VolumeEntry | CsiZfsError]]) -> None:
        try:
            for one in find():
                if isinstance(one, CsiZfsError):
                    self.failures.append(f"{about}: {one}")
                else:
                    self.entries.append(one)
        except CsiZfsError as exc:
            self.failures.append(f"{about}: {exc}")


def adopt(
    settings: Settings,
    pools: Sequence[PoolSettings],
    request: AdoptionRequest,
    tools: Tools | None = None,
) -> Adopted:
    """Take over what the pools hold, as the node of these settings.

    May run while a driver serves pools on OpenZFS; an embedded one is a failure then.

    Raises:
        PoolChoiceError: names are given, and not exactly one pool on OpenZFS.
    """
    found = _Found()
    with ExitStack() as stack:
        opener = Opener(tools or Tools(), stack)
        if request.names:
            _adopt_named(opener, _only_openzfs(pools), request, found)
        else:
            for pool in pools:
                found.add(f"pool {pool.name}", partial(_volumes_of, opener, pool))
    encrypted = [entry for entry in found.entries if entry.record.salt]
    secrets = {entry.volume_id: request.secret for entry in encrypted if request.secret}
    objects = persistent_volumes(
        [volume_of(entry) for entry in found.entries],
        identity_of(settings),
        storage_class=request.storage_class,
        secrets=secrets,
    )
    return Adopted(objects, [*found.failures, *_missing_secrets(encrypted, secrets)])


def _missing_secrets(
    encrypted: Sequence[VolumeEntry], secrets: Mapping[VolumeId, SecretName]
) -> Iterator[str]:
    for entry in encrypted:
        if entry.volume_id not in secrets:
            yield (
                f"{entry.record.volume_name} is encrypted, and its object names no Secret: say with"
                " --secret which one has its key"
            )


def _adopt_named(
    opener: Opener, pool: PoolSettings, request: AdoptionRequest, found: _Found
) -> None:
    adoption = opener.made_openzfs().adoption(pool)

    def adopted(name: str) -> list[VolumeEntry]:
        return [adoption.adopt(name, content=request.content, is_dry_run=request.is_dry_run)]

    for name in request.names:
        found.add(name, partial(adopted, name))


def _volumes_of(opener: Opener, pool: PoolSettings) -> Iterator[VolumeEntry | RecordCorruptError]:
    return volumes_on(opener.open_beside(pool))


def _only_openzfs(pools: Sequence[PoolSettings]) -> PoolSettings:
    on_openzfs = [pool for pool in pools if pool.path is None]
    if len(on_openzfs) != 1:
        names = ", ".join(pool.name for pool in on_openzfs) or "none"
        raise PoolChoiceError(
            f"say with --pool in which pool on OpenZFS the datasets are; there are: {names}"
        )
    return on_openzfs[0]
