"""`csi-zfs controller`: the router of a cluster as a service."""

import typer

from csi_zfs.cli.options import DEFAULT_CONFIG, ConfigOption, example
from csi_zfs.settings import load_controller_settings

app = typer.Typer()


@app.command(epilog=example("csi-zfs controller --config /etc/csi-zfs/config.toml"))
def controller(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Serve CSI's controller for all nodes of a cluster, until SIGTERM.

    It sends each call to the `csi-zfs node` that has the pool.  Needs no root.
    """
    settings = load_controller_settings(config)
    from csi_zfs.app import serve_controller

    raise typer.Exit(serve_controller(settings))
