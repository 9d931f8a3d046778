"""`csi-zfs store gc`: free what no manifest needs."""

from dataclasses import asdict
from typing import Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_json
from csi_zfs.cli.store.options import StoreOptions, with_store
from csi_zfs.cli.store.progress import tell
from csi_zfs.domain.sizes import format_size

app = typer.Typer()


@app.command(epilog=example("csi-zfs store gc", "csi-zfs store gc --wait 3600 --live-share 0.8"))
@with_store
def gc(
    *,
    options: StoreOptions,
    live_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            min=0.0,
            max=1.0,
            help="Packs of which less than this is needed are written anew without the rest.",
        ),
    ] = 0.5,
    wait: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.0, help="For writers that began before it."),
    ] = 0.0,
) -> None:
    """Delete packs that no manifest needs; writers go on meanwhile.

    Where writers that began before it are still at work, it ends and the next one goes on from
    there: run it again, or with --wait. A writer that gave no sign for 15 minutes is ended. What
    cannot be read ends it before anything is deleted.
    """
    from csi_zfs.cas.collection import Collection, Options

    with options.opened() as store:
        settings = Options(live_share=live_share, patience_s=wait)
        report = Collection(store, settings, tell).run()
    if options.json:
        print_json(asdict(report))
        return
    typer.echo(
        f"{report.deleted_packs} packs with {format_size(report.deleted_bytes)} are deleted,"
        f" {report.repacked_packs} were written anew, {report.fenced_sessions} dead writers ended"
    )
    if report.waits_for:
        typer.echo(
            f"not finished: {len(report.waits_for)} writers that began before it are at work; run"
            " it again later"
        )
