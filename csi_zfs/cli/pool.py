"""`csi-zfs pool`: make and look after embedded pools."""

import difflib
from pathlib import Path
from typing import Annotated

import typer

from csi_zfs.cli import options
from csi_zfs.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    OutputOption,
    PathOption,
    example,
)
from csi_zfs.cli.output import OutputFormat, show_pool, show_pools
from csi_zfs.cli.root import require_root
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.settings import PoolSettings, load_settings

app = typer.Typer(no_args_is_help=True, help="Make and look after embedded pools.")


class UnknownPoolError(InvalidRequestError):
    """The settings have no pool of this name."""


@app.command(
    epilog=example(
        "csi-zfs pool create fast --path /srv/csi-zfs/fast --size 100Gi",
        "csi-zfs pool create fast --path /mnt/xfs/fast",
    )
)
def create(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", parser=options.pool_name)],
    path: PathOption,
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
    """Make a pool in a new or empty directory."""
    require_root()
    from csi_zfs.app import create_pool

    status = create_pool(path, name=name, size_bytes=size, is_preallocated=preallocate)
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
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show the pools of this machine in a table."""
    require_root()
    pools = (
        [PoolSettings(item.name, item) for item in path] if path else load_settings(config).pools
    )
    from csi_zfs.app import pool_status

    show_pools([pool_status(pool) for pool in pools], output)


@app.command(epilog=example("csi-zfs pool show fast --output json"))
def show(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", parser=options.pool_name)],
    config: ConfigOption = DEFAULT_CONFIG,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Show one pool of the settings, and what is wrong with it."""
    require_root()
    pool = _named(name, load_settings(config).pools)
    from csi_zfs.app import pool_status

    show_pool(pool_status(pool), output)


@app.command(epilog=example("csi-zfs pool grow --path /srv/csi-zfs/fast --size 200Gi"))
def grow(
    *,
    path: PathOption,
    size: Annotated[
        int,
        typer.Option(metavar="SIZE", parser=options.size_bytes, help="The new size of the image."),
    ],
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Make a pool's disk image larger, also while it is in use."""
    require_root()
    from csi_zfs.app import grow_pool

    show_pool(grow_pool(path, size_bytes=size), output)


@app.command(epilog=example("csi-zfs pool export --path /srv/csi-zfs/fast"))
def export(*, path: PathOption) -> None:
    """Unmount a pool, so that its disk can be moved.

    Nothing is deleted.
    """
    require_root()
    from csi_zfs.app import export_pool

    export_pool(path)
    typer.echo(f"{path} is exported")


def _named(name: str, pools: tuple[PoolSettings, ...]) -> PoolSettings:
    by_name = {pool.name: pool for pool in pools}
    if name not in by_name:
        near = difflib.get_close_matches(name, by_name, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(by_name)}"
        raise UnknownPoolError(f"the settings have no pool {name!r}; {hint}")
    return by_name[name]
