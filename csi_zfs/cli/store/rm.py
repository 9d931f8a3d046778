"""`csi-zfs store rm`: remove manifests."""

from typing import Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_json
from csi_zfs.cli.store.options import StoreOptions, with_store

app = typer.Typer()


@app.command("rm", epilog=example("csi-zfs store rm 3f1c 77d0"))
@with_store
def remove(
    *,
    options: StoreOptions,
    manifests: Annotated[
        list[str],
        typer.Argument(metavar="MANIFEST...", help="Ids, or beginnings that only they have."),
    ],
) -> None:
    """Remove manifests; `csi-zfs store gc` then frees what nothing else needs.

    All of them are looked up before the first is removed. One that was removed already, named by
    its whole id, is no error.
    """
    from csi_zfs.cas.choosing import is_whole_id, named_in

    with options.opened(is_fresh=False) as store:
        there = [] if all(map(is_whole_id, manifests)) else store.manifests()
        ids = [
            text if is_whole_id(text) else named_in(there, text).manifest_id for text in manifests
        ]
        store.delete(*ids)
    if options.json:
        print_json({"removed": ids})
        return
    for manifest_id in ids:
        typer.echo(f"{manifest_id} is removed")
