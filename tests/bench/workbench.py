"""What the sections share: the load, the servers, the drivers, and how much is to be done."""

import itertools
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import TracebackType
from typing import Self

from csi_zfs.reflink.layout import IMAGE, Layout
from csi_zfs.reflink.place import Place
from tests.bench import messages
from tests.bench.load import Load
from tests.bench.mock_build import CannotBuildError, ensure_mock
from tests.bench.servers import bare_server, mock_server
from tests.support.process import POOL_NAME, RealDriver, real_driver

CLIENTS = 8
# Sparse.  Thin volumes may promise a hundred times as much, so that large ones have room.
_POOL_SIZE = "64Gi"
_THIN_RATIO = 100


@dataclass(frozen=True, slots=True)
class Amount:
    """How much is measured."""

    rounds: int
    batch: int
    volumes: Sequence[int]
    extents: Sequence[int]


FULL = Amount(rounds=12, batch=80, volumes=(10, 1_000, 10_000), extents=(1, 1_000, 10_000, 100_000))
QUICK = Amount(rounds=3, batch=40, volumes=(10, 1_000), extents=(1, 1_000))


class Workbench:
    """Starts what a section asks for, once; a `with` block takes all of it down."""

    def __init__(self, root: Path, amount: Amount) -> None:
        """Keep everything below `root`, a directory with a short path."""
        self.amount = amount
        self._root = root
        self._stack = ExitStack()
        self._numbers = itertools.count(1)
        self.driver_with = cache(self._driver_with)
        self.mock_with = cache(self._mock_with)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def names(self, count: int) -> list[str]:
        """So many names that nothing has had yet, as a provisioner makes them."""
        return [f"pvc-{number:032x}" for number in itertools.islice(self._numbers, count)]

    @cached_property
    def load(self) -> Load:
        """The process that makes the calls."""
        return self._stack.enter_context(Load())

    @cached_property
    def bare_server(self) -> Path:
        """The socket of the bare loop behind gRPC, on the file system of the first driver."""
        directory = file_system_of(self.driver_with(self.amount.volumes[0])) / "bare-server"
        return self._stack.enter_context(bare_server(self._root / "bare.sock", directory))

    @cached_property
    def mock_program(self) -> Path:
        """The program of the mock; raises `CannotBuildError`."""
        return ensure_mock(os.environ)

    @property
    def why_no_mock(self) -> str:
        """Why the mock cannot be built here; empty when it can."""
        try:
            self.mock_program  # noqa: B018 - it builds
        except CannotBuildError as exc:
            return str(exc)
        return ""

    def _driver_with(self, volumes: int) -> RealDriver:
        """A driver on a pool of its own that has so many volumes."""
        directory = self._root / f"d{volumes}"
        directory.mkdir()
        pool = {"name": POOL_NAME, "path": str(directory / "pool"), "thin_ratio": _THIN_RATIO}
        settings = {"pools": [pool | {"size": _POOL_SIZE}]}
        driver = self._stack.enter_context(
            real_driver(directory, pool_size=_POOL_SIZE, settings=settings)
        )
        self._fill(driver.paths.socket, volumes)
        return driver

    def _mock_with(self, volumes: int) -> Path:
        """The socket of a mock that has so many volumes."""
        socket_path = self._root / f"mock{volumes}.sock"
        self._stack.enter_context(mock_server(self.mock_program, socket_path))
        self._fill(socket_path, volumes)
        return socket_path

    def _fill(self, socket_path: Path, volumes: int) -> None:
        requests = messages.new_volumes(self.names(volumes))
        self.load.run(socket_path, messages.CREATE_VOLUME, requests, clients=CLIENTS)


def file_system_of(driver: RealDriver) -> Path:
    """Where the file system of a driver's pool is mounted."""
    return Place(driver.paths.pool).mount_point


def image_of(driver: RealDriver, volume_name: str) -> Path:
    """The image file of a volume, which the driver keeps below the volume's own name."""
    return Layout(file_system_of(driver)).dataset(f"v/{volume_name}") / IMAGE
