"""`csi-zfs why`: what keeps a volume or a snapshot."""

from typing import Annotated

import typer

from csi_zfs.cli.options import DEFAULT_CONFIG, ConfigOption, OutputOption, example
from csi_zfs.cli.output import OutputFormat, show_explanation
from csi_zfs.cli.root import require_root
from csi_zfs.settings import load_settings

app = typer.Typer()


@app.command(
    epilog=example(
        "csi-zfs why pvc-6f2b1c1e-5d0f-4a0c-9e7b-0c9d3a0c7b11",
        "csi-zfs why D-9f86d081884c7d65 --output json",
    )
)
def why(
    *,
    volume: Annotated[
        str,
        typer.Argument(
            metavar="VOLUME",
            help="The id of a volume or snapshot, also of a deleted one (zfs1:...), or its name on"
            " the pool.",
        ),
    ],
    config: ConfigOption = DEFAULT_CONFIG,
    output: OutputOption = OutputFormat.TABLE,
) -> None:
    """Say what keeps a volume or a snapshot, and what to do about it.

    Snapshots, clones, holds, mounts in any mount namespace, open devices, devices on top of it,
    and what the kubelet has staged and published.  Nothing changes: it runs beside the driver.
    Processes outside a container are seen only with the host's process namespace.
    """
    require_root()
    settings = load_settings(config)
    from csi_zfs.app import explain

    show_explanation(explain(settings, volume), output)
