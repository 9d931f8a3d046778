"""`csi-zfs store stats`: what a store holds and what that takes."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_columns, print_json
from csi_zfs.cli.store.options import StoreOptions, with_store
from csi_zfs.cli.store.output import printable
from csi_zfs.cli.store.progress import tell
from csi_zfs.domain.sizes import format_size

if TYPE_CHECKING:
    from csi_zfs.cas.statistics import Statistics, Usage

app = typer.Typer()
_HEADER = ("", "MANIFESTS", "LOGICAL", "UNIQUE", "STORED", "DEDUP", "COMPRESSION")


@app.command(epilog=example("csi-zfs store stats", "csi-zfs store stats --by of --json"))
@with_store
def stats(
    *,
    options: StoreOptions,
    by: Annotated[
        str | None, typer.Option(metavar="NAME", help="Also for each value of this label.")
    ] = None,
) -> None:
    """Show logical, unique and stored bytes, and the ratios between them.

    Logical is what all manifests would take restored, holes included; unique are the chunks that
    they need, each once; stored is what those take in packs. A chunk that several values of a label
    need counts for each of them.
    """
    from csi_zfs.cas.statistics import statistics_of

    with options.opened() as store:
        found = statistics_of(store, label=by, tell=tell)
    if options.json:
        print_json(_document(found))
        return
    rows = [_row("all", found.usage)]
    rows += [_row(f"{by}={value}", usage) for value, usage in found.by_label.items()]
    print_columns([_HEADER, *rows])
    typer.echo(f"{found.packs} packs take {format_size(found.pack_bytes)}")


def _document(found: "Statistics") -> dict[str, object]:
    labels = {value: _usage_document(usage) for value, usage in found.by_label.items()}
    packs = {"packs": found.packs, "pack_bytes": found.pack_bytes}
    return {**_usage_document(found.usage), **packs, "by_label": labels}


def _usage_document(usage: "Usage") -> dict[str, object]:
    ratios = {
        "dedup_ratio": round(usage.dedup_ratio, 3),
        "compression_ratio": round(usage.compression_ratio, 3),
    }
    return {**asdict(usage), **ratios}


def _row(name: str, usage: "Usage") -> tuple[str, ...]:
    return (
        printable(name),
        str(usage.manifests),
        format_size(usage.logical_bytes),
        format_size(usage.unique_bytes),
        format_size(usage.stored_bytes),
        f"{usage.dedup_ratio:.2f}",
        f"{usage.compression_ratio:.2f}",
    )
