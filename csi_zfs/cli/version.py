"""`csi-zfs version`, and `csi-zfs --version`."""

from typing import Annotated

import typer

from csi_zfs.cli.options import example

app = typer.Typer()


@app.command(epilog=example("csi-zfs version"))
def version() -> None:
    """Print the version."""
    from importlib import metadata

    typer.echo(metadata.version("csi-zfs"))


def _print_and_end(is_asked_for: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if is_asked_for:
        version()
        raise typer.Exit


VersionOption = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_and_end, is_eager=True, help="Print the version and end."
    ),
]
