"""`csi-zfs store cat`: print a file of a tree."""

import os
import sys
from typing import Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.store.options import ManifestArgument, StoreOptions, with_store

app = typer.Typer()


@app.command(epilog=example("csi-zfs store cat 9ab2 etc/hosts"))
@with_store
def cat(
    *,
    options: StoreOptions,
    manifest: ManifestArgument,
    path: Annotated[str, typer.Argument(metavar="PATH")],
) -> None:
    """Print the bytes of a file in a tree; nothing of it is printed before it was checked."""
    from csi_zfs.cas.choosing import chosen_manifest
    from csi_zfs.cas.restoring import tree_of

    with options.opened() as store:
        tree = tree_of(store, chosen_manifest(store, manifest))
        for data in tree.cat(os.fsencode(path.strip("/"))):
            sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
