"""`csi-zfs store put`: keep an image or a directory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_json
from csi_zfs.cli.statuses import IN_PART
from csi_zfs.cli.store.options import LabelOption, StoreOptions, parse_labels, warn, with_store
from csi_zfs.cli.store.output import manifest_document, problem_documents, show_problems
from csi_zfs.cli.store.progress import progress
from csi_zfs.domain.sizes import format_size

if TYPE_CHECKING:
    from csi_zfs.cas.archiving import Stored

app = typer.Typer()


@app.command(
    epilog=example(
        "csi-zfs store put /dev/vg/database --label of=database",
        "csi-zfs store put /home --label of=home --one-file-system",
    )
)
@with_store
def put(
    *,
    options: StoreOptions,
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A file or block device, or a directory.")
    ],
    label: LabelOption = None,
    domain: Annotated[
        str, typer.Option(metavar="NAME", help="What is deduplicated with what.")
    ] = "default",
    since: Annotated[
        str,
        typer.Option(
            metavar="MANIFEST",
            help="An older tree of this directory, made on this machine: files that surely did not"
            " change since are not read. The domain is that of the older one.",
        ),
    ] = "",
    one_file_system: Annotated[
        bool,
        typer.Option("--one-file-system", "-x", help="Leave out what is mounted below."),
    ] = False,
) -> None:
    """Keep a file or block device as an image, or a directory as a tree of files.

    An image must not be written meanwhile: take a snapshot first. What of a directory cannot be
    read, or changes meanwhile, is told, and the exit status is 4.
    """
    labels = parse_labels(label)
    from csi_zfs.cas.archiving import Archiving, opened_source
    from csi_zfs.cas.choosing import chosen_manifest

    with (
        opened_source(source) as opened,
        options.opened(is_fresh=bool(since)) as store,
        _telling_of_an_interrupt(),
    ):
        archiving = Archiving(
            labels=labels,
            domain=domain,
            one_file_system=one_file_system,
            since=chosen_manifest(store, since) if since else None,
        )
        with progress("storing", opened.data_bytes) as advance:
            stored = archiving.store(store, opened, advance)
    _show(stored, json=options.json)
    if stored.problems:
        raise typer.Exit(IN_PART)


@contextmanager
def _telling_of_an_interrupt() -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        warn("interrupted; whole packs that were uploaded are found by the next run")
        raise


def _show(stored: "Stored", *, json: bool) -> None:
    written = stored.written
    if json:
        print_json(
            manifest_document(stored.manifest)
            | {
                "new_chunks": written.new_chunks,
                "new_bytes": written.new_plain_bytes,
                "stored_bytes": written.stored_bytes,
                "problems": problem_documents(stored.problems),
            }
        )
        return
    show_problems(stored.problems)
    typer.echo(
        f"{stored.manifest.manifest_id} {stored.manifest.root.kind}"
        f" {format_size(stored.manifest.root.size_bytes)},"
        f" new {format_size(written.new_plain_bytes)}, stored {format_size(written.stored_bytes)}"
    )
