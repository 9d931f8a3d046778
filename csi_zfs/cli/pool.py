"""`csi-zfs pool`: make and look after pools."""

import difflib
from pathlib import Path
from typing import Annotated

import typer

from csi_zfs.cli import options
from csi_zfs.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    DatasetOption,
    OutputOption,
    PathOption,
    RefusedDatasetOption,
    example,
    require_path,
)
from csi_zfs.cli.output import OutputFormat, show_pool, show_pools
from csi_zfs.cli.root import require_root
from csi_zfs.domain.errors import InvalidRequestError, UnsupportedError
from csi_zfs.settings import PoolSettings, load_settings

_GROWING = (
    "{dataset} has the room of its zpool: add disks with `zpool add {zpool}`, or take up larger"
    " ones with `zpool online -e {zpool} DISK`; where it has a quota, change that with"
    " `zfs set quota=SIZE {dataset}`"
)
_EXPORTING = (
    "{dataset} moves with its zpool: unpublish its volumes, stop the driver, then run"
    " `zpool export {zpool}`; where it goes, `zpool import {zpool}`"
)

app = typer.Typer(no_args_is_help=True, help="Make and look after pools.")


class UnknownPoolError(InvalidRequestError):
    """The settings have no pool of this name."""


class ZpoolCommandError(UnsupportedError):
    """OpenZFS has commands of its own for this; the text says which."""


@app.command(
    epilog=example(
        "csi-zfs pool create fast --path /srv/csi-zfs/fast --size 100Gi",
        "csi-zfs pool create fast --path /mnt/xfs/fast",
        "csi-zfs pool create tank --dataset tank/csi",
    )
)
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", parser=options.pool_name)],
    path: PathOption = None,
    dataset: DatasetOption = None,
    size: Annotated[
        int | None,
        typer.Option(
            metavar="SIZE",
            parser=options.size_bytes,
            help="The size of the disk image to make; without it the pool is the directory itself,"
            " on a file system that has reflinks already.",
        ),
    ] = None,
    preallocate: Annotated[
        bool,
        typer.Option("--preallocate", help="Take all of the image's space now, not as needed."),
    ] = False,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Make a pool: in a new or empty directory, or below a dataset of an imported zpool.

    For OpenZFS it may be repeated: the dataset is made where it is missing, and an id stays.
    """
    if dataset is not None and (path is not None or size is not None or preallocate):
        raise typer.BadParameter(
            "goes with none of --path, --size and --preallocate", param_hint="'--dataset'"
        )
    place = None if dataset is not None else require_path(path, or_else="--dataset for OpenZFS")
    require_root()
    from csi_zfs.app import create_openzfs_pool, create_pool

    if place is None:
        status = create_openzfs_pool(str(dataset), name=name)
    else:
        status = create_pool(place, name=name, size_bytes=size, is_preallocated=preallocate)
    show_pool(status, output)


@app.command("list", epilog=example("csi-zfs pool list", "csi-zfs pool list --path /srv/fast"))
def list_pools(
    *,
    config: ConfigOption = DEFAULT_CONFIG,
    path: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="DIR",
            parser=options.pool_path,
            help="A pool to show instead of those in the settings; may be given again.",
        ),
    ] = None,
    dataset: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ZPOOL/DATASET",
            parser=options.pool_dataset,
            help="The same for a pool on OpenZFS.",
        ),
    ] = None,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show the pools of this machine in a table."""
    require_root()
    pools = [PoolSettings(item.name, item) for item in path or ()]
    pools += [PoolSettings(item.rpartition("/")[2], dataset=item) for item in dataset or ()]
    from csi_zfs.app import pool_status

    show_pools([pool_status(pool) for pool in pools or load_settings(config).pools], output)


@app.command(epilog=example("csi-zfs pool show fast --output json"))
def show(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", parser=options.pool_name)],
    config: ConfigOption = DEFAULT_CONFIG,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show one pool of the settings, and what is wrong with it."""
    require_root()
    pool = pool_named(name, load_settings(config).pools)
    from csi_zfs.app import pool_status

    show_pool(pool_status(pool), output)


@app.command(epilog=example("csi-zfs pool grow --path /srv/csi-zfs/fast --size 200Gi"))
def grow(
    *,
    path: PathOption = None,
    dataset: RefusedDatasetOption = None,
    size: Annotated[
        int,
        typer.Option(metavar="SIZE", parser=options.size_bytes, help="The new size of the image."),
    ],
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Make an embedded pool's disk image larger, also while it is in use."""
    _refuse_dataset(dataset, _GROWING)
    place = require_path(path)
    require_root()
    from csi_zfs.app import grow_pool

    show_pool(grow_pool(place, size_bytes=size), output)


@app.command(epilog=example("csi-zfs pool export --path /srv/csi-zfs/fast"))
def export(*, path: PathOption = None, dataset: RefusedDatasetOption = None) -> None:
    """Unmount an embedded pool, so that its disk can be moved.

    Nothing is deleted.
    """
    _refuse_dataset(dataset, _EXPORTING)
    place = require_path(path)
    require_root()
    from csi_zfs.app import export_pool

    export_pool(place)
    typer.echo(f"{place} is exported")


def _refuse_dataset(dataset: str | None, words: str) -> None:
    if dataset is not None:
        zpool_name = dataset.partition("/")[0]
        raise ZpoolCommandError(words.format(dataset=dataset, zpool=zpool_name))


def pool_named(name: str, pools: tuple[PoolSettings, ...]) -> PoolSettings:
    """The pool of this name; raises `UnknownPoolError` with a near one."""
    by_name = {pool.name: pool for pool in pools}
    if name not in by_name:
        near = difflib.get_close_matches(name, by_name, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(by_name)}"
        raise UnknownPoolError(f"the settings have no pool {name!r}; {hint}")
    return by_name[name]
