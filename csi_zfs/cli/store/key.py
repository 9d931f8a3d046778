"""`csi-zfs store key`: what opens a store."""

from pathlib import Path
from typing import Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_columns, print_json, time_text
from csi_zfs.cli.store.options import StoreOptions, with_store
from csi_zfs.cli.store.output import printable
from csi_zfs.cli.store.secrets import Secrets

app = typer.Typer(
    no_args_is_help=True,
    help="The key slots of a store: passphrases and keys, each of which opens it.",
)
NewKeyFileOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="The new key: at least 32 bytes.")
]
NewPassphraseFileOption = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="The new passphrase: the first line. Else it is asked for."),
]


@app.command("list", epilog=example("csi-zfs store key list"))
@with_store
def list_slots(*, options: StoreOptions) -> None:
    """List the key slots."""
    from csi_zfs.app.stores import opened_key_ring

    slots = opened_key_ring(options.access()).slots()
    if options.json:
        print_json(
            [
                {
                    "slot_id": one.slot_id,
                    "kind": one.kind,
                    "label": one.label,
                    "created_ns": one.created_ns,
                    "problem": one.problem,
                }
                for one in slots
            ]
        )
        return
    rows = [
        (
            one.slot_id,
            one.kind or one.problem,
            time_text(one.created_ns) if one.kind else "",
            printable(one.label),
        )
        for one in slots
    ]
    print_columns([("SLOT", "KIND", "CREATED", "LABEL"), *rows])


@app.command(
    epilog=example("csi-zfs store key add --new-key-file /root/second.key --slot-label laptop")
)
@with_store
def add(
    *,
    options: StoreOptions,
    new_key_file: NewKeyFileOption = None,
    new_passphrase_file: NewPassphraseFileOption = None,
    slot_label: Annotated[str, typer.Option(metavar="TEXT", help="To know it by.")] = "",
) -> None:
    """Add a key slot: from then on the new key or passphrase opens the store too."""
    access = options.access()
    secrets = Secrets(new_key_file, new_passphrase_file, None)
    from csi_zfs.app.stores import opened_key_ring

    ring = opened_key_ring(access)
    added = ring.add(secrets.credential("the new slot", is_new=True), slot_label)
    _show({"added": added}, f"{added} is added", json=options.json)


@app.command(epilog=example("csi-zfs store key remove 5c20 --key-file /root/second.key"))
@with_store
def remove(
    *,
    options: StoreOptions,
    slot: Annotated[
        str, typer.Argument(metavar="SLOT", help="The id of a slot, or its beginning.")
    ],
) -> None:
    """Remove a key slot, other than the one that opens the store for you now.

    Who knew its key may have kept the key of the store: this locks nobody out who had the time to
    read it.
    """
    from csi_zfs.app.stores import opened_key_ring

    access = options.access()
    removed = opened_key_ring(access).remove(slot, access.credential)
    _show({"removed": removed}, f"{removed} is removed", json=options.json)


@app.command(epilog=example("csi-zfs store key rotate --key-file old.key --new-key-file new.key"))
@with_store
def rotate(
    *,
    options: StoreOptions,
    new_key_file: NewKeyFileOption = None,
    new_passphrase_file: NewPassphraseFileOption = None,
) -> None:
    """Put a new key or passphrase in the place of the one that you open the store with.

    The new slot is seen to open before the old one goes. No data is written again.
    """
    access = options.access()
    secrets = Secrets(new_key_file, new_passphrase_file, None)
    from csi_zfs.app.stores import opened_key_ring

    ring = opened_key_ring(access)
    new = secrets.credential("the new slot", is_new=True)
    added, removed = ring.rotate(access.credential, new)
    words = f"{added} is added, {', '.join(removed)} removed"
    _show({"added": added, "removed": removed}, words, json=options.json)


def _show(document: dict[str, object], words: str, *, json: bool) -> None:
    if json:
        print_json(document)
    else:
        typer.echo(words)
