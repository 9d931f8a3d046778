"""`csi-zfs forget`: deletes of what was on a lost pool succeed."""

from typing import Annotated

import typer

from csi_zfs.cli.options import DEFAULT_CONFIG, ConfigOption, example
from csi_zfs.domain.ids import parse_pool_id
from csi_zfs.settings import load_controller_settings

app = typer.Typer()


@app.command(epilog=example("csi-zfs forget zfs1:0123456789abcdef:v:pvc-1:1111111111111111"))
def forget(
    id_text: Annotated[
        str, typer.Argument(metavar="ID", help="The id of a pool, or of anything that was on it.")
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    *,
    is_sure: Annotated[
        bool,
        typer.Option("--even-if-away", help="Also while nodes that may have it do not answer."),
    ] = False,
    is_confirmed: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Let go of everything on a pool whose node is gone for good.

    Runs in a pod of the controller.  Volumes and snapshots of the pool can be deleted from the
    cluster then; nothing is deleted by this itself, and a pool that comes back is served again.
    """
    pool_id = parse_pool_id(id_text)
    settings = load_controller_settings(config)
    if not is_confirmed:
        typer.confirm(
            f"Everything on pool {pool_id} is lost, and deletes of it shall succeed?", abort=True
        )
    from csi_zfs.app.forgetting import forget_pool
    from csi_zfs.system.clock import SystemClock

    forget_pool(settings, pool_id, is_sure=is_sure, clock=SystemClock())
    typer.echo(f"pool {pool_id} is forgotten: deletes of what was on it succeed")
