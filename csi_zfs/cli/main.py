"""The csi-zfs command: its commands, and how their errors end the process."""

import sys
import traceback
from collections.abc import Sequence

import typer

from csi_zfs.cli import adopt, controller, forget, node, pool, store, uninstall_check, version, why
from csi_zfs.cli.statuses import status_of
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.settings import SettingsError, keep_grpc_fork_support_off

app = typer.Typer(
    name="csi-zfs",
    help="Node-local volumes for Kubernetes, with snapshots that travel.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help does not load rich
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def of_every_command(*, _version: version.VersionOption = False) -> None:
    """Take the options that stand before a command."""


app.add_typer(node.app)
app.add_typer(controller.app)
app.add_typer(pool.app, name="pool")
app.add_typer(store.app, name="store")
app.add_typer(adopt.app)
app.add_typer(why.app)
app.add_typer(forget.app)
app.add_typer(uninstall_check.app)
app.add_typer(version.app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command and end the process.

    The exit status is 0 for success, 1 where the command is refused, 2 for wrong settings or wrong
    usage, 3 where what is stored is damaged, 4 where a store command did a part, 130 after Ctrl-C,
    and 70, with a traceback, for a bug.

    Args:
        arguments: the words after `csi-zfs`; None for those of this process.
    """
    keep_grpc_fork_support_off()
    try:
        app(args=arguments, prog_name="csi-zfs")
    except SettingsError as exc:
        _end(str(exc), status_of(exc))
    except CsiZfsError as exc:
        _end(f"csi-zfs: {exc}", status_of(exc))
    except Exception as exc:  # noqa: BLE001 - the last door: what comes here is a bug, shown whole
        _end(traceback.format_exc().rstrip(), status_of(exc))


def _end(words: str, status: int) -> None:
    typer.echo(words, err=True)
    sys.exit(status)
