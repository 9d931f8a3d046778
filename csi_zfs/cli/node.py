"""`csi-zfs node`: the driver as a service."""

import typer

from csi_zfs.cli.options import DEFAULT_CONFIG, ConfigOption, example
from csi_zfs.cli.root import require_root
from csi_zfs.settings import load_settings

app = typer.Typer()


@app.command(epilog=example("csi-zfs node --config /etc/csi-zfs/config.toml"))
def node(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Serve the pools of this machine over CSI, until SIGTERM.

    The file says which pools and on which socket; the variables CSI_ZFS_... go over it.
    """
    require_root()
    settings = load_settings(config)
    from csi_zfs.app import serve_node

    raise typer.Exit(serve_node(settings))
