"""`csi-zfs store clone`: the same content under other labels."""

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_json
from csi_zfs.cli.store.options import (
    LabelOption,
    ManifestArgument,
    StoreOptions,
    parse_labels,
    with_store,
)
from csi_zfs.cli.store.output import manifest_document

app = typer.Typer()


@app.command(epilog=example("csi-zfs store clone 3f1c --label of=database --label keep=release"))
@with_store
def clone(*, options: StoreOptions, manifest: ManifestArgument, label: LabelOption = None) -> None:
    """Make a manifest of the same content with labels of its own: it takes one small object.

    Either can be removed without the other.
    """
    labels = parse_labels(label)
    from csi_zfs.cas.choosing import chosen_manifest

    with options.opened(is_fresh=False) as store:
        made = store.clone(chosen_manifest(store, manifest).manifest_id, labels)
    if options.json:
        print_json(manifest_document(made))
    else:
        typer.echo(made.manifest_id)
