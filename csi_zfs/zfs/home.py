"""Where our datasets lie in a pool: below one parent, which says which pool this is.

Every look and every change goes through a program that first proves that the parent is there and is
ours (rules.md A5), so "absent" is never said of a pool that is exported or is another one.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from csi_zfs.datasets.api import DatasetNotFoundError
from csi_zfs.datasets.names import VOLUMES
from csi_zfs.zfs.errors import translating
from csi_zfs.zfs.lzc import LibzfsCore, ProgramValue
from csi_zfs.zfs.names import require_object_name
from csi_zfs.zfs.outcomes import Found, found_of
from csi_zfs.zfs.programs import source_of
from csi_zfs.zfs.records import DATASET_PROPERTY

# What the kernel allows at most: the lists of a large pool in few programs.
_LIMITS_OF_LISTS = {"instruction_limit": 100_000_000, "memory_limit_bytes": 64 * 1024 * 1024}
_NO_LIMITS: dict[str, int] = {}


@dataclass(frozen=True, slots=True)
class Home:
    """The parent dataset of a pool.  Thread-safe.

    Attributes:
        core: OpenZFS's calls.
        pool_name: what settings and parameters call it.
        parent: the whole name of the parent dataset.
        pool_id: what the parent's local property says.
        served_by: what the parent's property has to say; empty: anything.
    """

    core: LibzfsCore
    pool_name: str
    parent: str
    pool_id: str
    served_by: str = ""

    @property
    def zpool_name(self) -> str:
        """The name of the pool itself."""
        return self.parent.partition("/")[0]

    @property
    def volumes(self) -> str:
        """The whole name of the dataset below which all others lie."""
        return f"{self.parent}/{VOLUMES}"

    def full(self, name: str) -> str:
        """The whole name of a dataset or snapshot; raises `InvalidNameError` (rules.md C1)."""
        return f"{self.parent}/{require_object_name(name)}"

    def relative(self, full_name: str) -> str:
        """A dataset's or snapshot's name below the parent."""
        return full_name.removeprefix(f"{self.parent}/")

    def read(self, program: str, name: str = "", **arguments: ProgramValue) -> Found:
        """Run a program that changes nothing; `name` is what it is about.

        Raises `PoolUnavailableError`, `PoolServedElsewhereError` where another driver has taken the
        pool over, and `DatasetNotFoundError` for `name`.
        """
        with translating(name or self.parent):
            returned = self.core.read_program(
                self.zpool_name,
                source_of(program),
                self._arguments(name, arguments),
                **(_LIMITS_OF_LISTS if program.startswith("list_") else _NO_LIMITS),
            )
            return found_of(returned, program, name or self.parent)

    def change(self, program: str, name: str = "", **arguments: ProgramValue) -> Found:
        """Run a program in a transaction of its own; raises what its outcome says."""
        with translating(name or self.parent):
            returned = self.core.run_program(
                self.zpool_name, source_of(program), self._arguments(name, arguments)
            )
            return found_of(returned, program, name or self.parent)

    def calling(self, name: str) -> AbstractContextManager[None]:
        """Translate the errors of direct calls in a `with` block; see `translating`."""
        return translating(name, prove_absent=self._is_absent)

    def _is_absent(self, full_name: str) -> bool:
        try:
            self.read("read", self.relative(full_name), property=DATASET_PROPERTY, native=[])
        except DatasetNotFoundError:
            return True
        return False

    def _arguments(
        self, name: str, arguments: Mapping[str, ProgramValue]
    ) -> dict[str, ProgramValue]:
        own: dict[str, ProgramValue] = {
            "parent": self.parent,
            "home": self.volumes,
            "pool_id": self.pool_id,
        }
        if self.served_by:
            own["served_by"] = self.served_by
        if name:
            own["name"] = self.full(name)
        return own | dict(arguments)
