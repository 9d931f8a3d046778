"""`csi-zfs uninstall-check`: whether the cluster still has data of the driver."""

from typing import Annotated

import typer

from csi_zfs.cli.options import example

app = typer.Typer()
_SHOWN = 10
_LEFT = 1


@app.command("uninstall-check", epilog=example("csi-zfs uninstall-check --driver-name csi-zfs.io"))
def uninstall_check(
    driver_name: Annotated[str, typer.Option(help="The driver that is to go.")] = "csi-zfs.io",
) -> None:
    """Say which volumes and snapshots of the driver the cluster has; fail while there are any.

    Without the driver nobody can mount, grow or delete them.
    """
    from csi_zfs.app.forgetting import find_leftovers

    left = find_leftovers(driver_name)
    _tell("PersistentVolumes", left.volumes)
    _tell("VolumeSnapshotContents", left.snapshots)
    if left:
        typer.echo(f"{driver_name} is still in use: delete these first")
        raise typer.Exit(_LEFT)
    typer.echo(f"nothing in the cluster is of {driver_name}")


def _tell(kind: str, names: tuple[str, ...]) -> None:
    if names:
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        typer.echo(f"{len(names)} {kind}: {', '.join(names[:_SHOWN])}{more}")
