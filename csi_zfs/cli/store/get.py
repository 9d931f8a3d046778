"""`csi-zfs store get`: restore an image or a directory."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_json
from csi_zfs.cli.statuses import DAMAGED, IN_PART
from csi_zfs.cli.store.options import ManifestArgument, StoreOptions, warn, with_store
from csi_zfs.cli.store.output import problem_documents, show_problems
from csi_zfs.cli.store.progress import progress
from csi_zfs.domain.sizes import format_size

if TYPE_CHECKING:
    from csi_zfs.cas.api import Manifest
    from csi_zfs.cas.restoring import Restored

app = typer.Typer()


@app.command(
    epilog=example(
        "csi-zfs store get 3f1c /srv/database.img",
        "csi-zfs store get 3f1c /dev/vg/database --in-place",
        "csi-zfs store get 9ab2 /srv/restored --path alice/mail",
    )
)
@with_store
def get(
    *,
    options: StoreOptions,
    manifest: ManifestArgument,
    target: Annotated[
        Path,
        typer.Argument(
            metavar="TARGET", help="A file that is not there yet; a directory for a tree of files."
        ),
    ],
    path: Annotated[
        str, typer.Option(metavar="PATH", help="Only this file or directory of a tree.")
    ] = "",
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place",
            help="Onto a file or device of the image's size: only what differs is written.",
        ),
    ] = False,
    salvage: Annotated[
        bool,
        typer.Option("--salvage", help="Leave out what is damaged, and tell it (exit status 3)."),
    ] = False,
) -> None:
    """Restore an image to a new file, or a tree of files into an empty directory.

    Everything is checked as it is read. A new file gets its name when it is whole and durable.
    """
    from csi_zfs.cas.choosing import chosen_manifest
    from csi_zfs.cas.restoring import Restoring

    wanted = os.fsencode(path.strip("/"))
    restoring = Restoring(is_in_place=in_place, is_salvage=salvage, path=wanted)
    with options.opened() as store:
        found = chosen_manifest(store, manifest)
        with progress("restoring", found.root.size_bytes) as advance:
            restored = restoring.restore(store, found, target, advance)
    _show(found, restored, json=options.json)
    if restored.is_damaged:
        raise typer.Exit(DAMAGED)
    if restored.problems:
        raise typer.Exit(IN_PART)


def _show(manifest: "Manifest", restored: "Restored", *, json: bool) -> None:
    lost = sorted(restored.lost.ranges)
    if json:
        print_json(
            {
                "manifest_id": manifest.manifest_id,
                "size_bytes": manifest.root.size_bytes,
                "lost": [{"offset": offset, "length": length} for offset, length in lost],
                "reason": restored.lost.reason,
                "problems": problem_documents(restored.problems),
            }
        )
        return
    for offset, length in lost:
        warn(f"{length} bytes at {offset} could not be restored")
    if lost:
        warn(restored.lost.reason)
    show_problems(restored.problems)
    size = format_size(manifest.root.size_bytes)
    typer.echo(f"{manifest.manifest_id} is restored ({size} in all)")
