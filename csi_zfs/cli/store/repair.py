"""`csi-zfs store repair`: make the index and the cache anew."""

from dataclasses import asdict

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_json
from csi_zfs.cli.statuses import DAMAGED
from csi_zfs.cli.store.options import StoreOptions, warn, with_store
from csi_zfs.cli.store.progress import tell

app = typer.Typer()


@app.command(epilog=example("csi-zfs store repair", "csi-zfs store check"))
@with_store
def repair(*, options: StoreOptions) -> None:
    """Make the index and this machine's cache anew, from the packs themselves.

    Writers and collections may go on. Chunks that are damaged stay damaged: put again whatever has
    their content, and they are whole. The exit status is 3 where a pack cannot be read.
    """
    from csi_zfs.cas.repair import rebuild_index

    with options.opened(is_fresh=False) as store:
        report = rebuild_index(store, tell)
    if options.json:
        print_json(asdict(report))
    else:
        for problem in report.unreadable:
            warn(problem)
        typer.echo(
            f"{report.packs} packs are in the new index, {report.removed_indexes} old ones are"
            f" removed, {len(report.unreadable)} packs cannot be read"
        )
    if report.unreadable:
        raise typer.Exit(DAMAGED)
