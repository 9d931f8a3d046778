"""`csi-zfs store init`: make a store."""

from typing import Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_json
from csi_zfs.cli.store.options import StoreOptions, byte_count, with_store
from csi_zfs.cli.store.progress import tell

app = typer.Typer()


@app.command(
    epilog=example(
        "head -c 32 /dev/urandom > /root/store.key",
        "csi-zfs store init /backup/store --key-file /root/store.key",
        "csi-zfs store init s3://backups/disks --endpoint https://s3.example.com",
    )
)
@with_store
def init(
    *,
    options: StoreOptions,
    place: Annotated[
        str | None,
        typer.Argument(
            metavar="[PLACE]", help="A new or empty directory, or s3://bucket/prefix; as --store."
        ),
    ] = None,
    chunk_size: Annotated[
        int,
        typer.Option(
            metavar="SIZE",
            parser=byte_count,
            help="What images are cut into, from 64Ki to 4Mi; it cannot be changed later.",
        ),
    ] = 256 << 10,
) -> None:
    """Make a store.

    Keep what opens it (a key file or a passphrase) somewhere else too: without it nobody can read
    what the store has. On a server the conditional writes are tried first; one that lets two
    writers win is refused. Credentials of S3 come from AWS_ACCESS_KEY_ID and
    AWS_SECRET_ACCESS_KEY.
    """
    access = options.access(place, is_new=True)
    from csi_zfs.app.stores import init_store

    header = init_store(access, chunk_bytes=chunk_size, tell=tell)
    if options.json:
        print_json({"store_id": header.store_id.hex(), "chunk_bytes": header.chunk_bytes})
    else:
        typer.echo(f"store {header.store_id.hex()} is made")
