"""`csi-zfs store diff`: what differs between two manifests."""

from typing import TYPE_CHECKING, Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_json
from csi_zfs.cli.store.options import ManifestArgument, StoreOptions, with_store
from csi_zfs.cli.store.output import path_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from csi_zfs.cas.tree_diff import TreeChange

app = typer.Typer()


@app.command(epilog=example("csi-zfs store diff 3f1c 77d0", "csi-zfs store diff 9ab2 c01e --json"))
@with_store
def diff(
    *,
    options: StoreOptions,
    old: ManifestArgument,
    new: Annotated[str, typer.Argument(metavar="MANIFEST")],
) -> None:
    """Show what differs: ranges of bytes of images, or paths of trees.

    Only metadata is read. A range is of whole chunks: an offset and a length. A path is added,
    removed, or differs in its content or in its metadata alone.
    """
    from csi_zfs.cas.api import ManifestKind
    from csi_zfs.cas.choosing import chosen_manifest
    from csi_zfs.cas.comparing import changed_paths, changed_ranges

    with options.opened() as store:
        one, other = chosen_manifest(store, old), chosen_manifest(store, new)
        if one.root.kind is ManifestKind.TREE:
            _show_paths(changed_paths(store, one, other), json=options.json)
        else:
            _show_ranges(changed_ranges(store, one, other), json=options.json)


def _show_paths(changes: "Iterator[TreeChange]", *, json: bool) -> None:
    if json:
        print_json(
            [
                {"path": one.path.decode(errors="surrogateescape"), "change": one.kind}
                for one in changes
            ]
        )
        return
    for one in changes:
        typer.echo(f"{one.kind:<8} {path_text(one.path) or '/'}")


def _show_ranges(ranges: "Iterator[tuple[int, int]]", *, json: bool) -> None:
    if json:
        print_json([{"offset": offset, "length": length} for offset, length in ranges])
        return
    for offset, length in ranges:
        typer.echo(f"{offset} {length}")
