"""`csi-zfs store ls`: what a store has, and what is in a tree of files."""

import os
from typing import Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.store.options import LabelOption, StoreOptions, parse_labels, with_store
from csi_zfs.cli.store.output import show_entries, show_manifest, show_manifests

app = typer.Typer()


@app.command(
    "ls",
    epilog=example(
        "csi-zfs store ls --label of=database",
        "csi-zfs store ls 3f1c",
        "csi-zfs store ls 9ab2 alice/mail",
    ),
)
@with_store
def list_stored(
    *,
    options: StoreOptions,
    manifest: Annotated[str, typer.Argument(metavar="[MANIFEST]", help="Show only this one.")] = "",
    path: Annotated[
        str, typer.Argument(metavar="[PATH]", help="A directory or file of a tree; / for its top.")
    ] = "",
    label: LabelOption = None,
) -> None:
    """List the manifests, oldest first; show one; or list a directory in a tree of files."""
    labels = parse_labels(label)
    from csi_zfs.cas.choosing import chosen_manifest, with_labels
    from csi_zfs.cas.restoring import tree_of

    with options.opened() as store:
        if not manifest:
            show_manifests(with_labels(store.manifests(), labels), json=options.json)
            return
        found = chosen_manifest(store, manifest)
        if not path:
            show_manifest(found, json=options.json)
            return
        tree = tree_of(store, found)
        entry = tree.find(os.fsencode(path.strip("/")))
        entries = tree.entries(entry) if entry.is_directory else [entry]
        show_entries(entries, json=options.json)
