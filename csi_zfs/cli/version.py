"""`csi-zfs version`."""

import typer

from csi_zfs.cli.options import example

app = typer.Typer()


@app.command(epilog=example("csi-zfs version"))
def version() -> None:
    """Print the version."""
    from importlib import metadata

    typer.echo(metadata.version("csi-zfs"))
