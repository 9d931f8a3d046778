"""`csi-zfs store verify`: read what is stored and check every chunk."""

from typing import TYPE_CHECKING, Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_json
from csi_zfs.cli.statuses import DAMAGED
from csi_zfs.cli.store.options import StoreOptions, byte_count, warn, with_store
from csi_zfs.cli.store.progress import progress
from csi_zfs.domain.sizes import format_size

if TYPE_CHECKING:
    from csi_zfs.cas.verification import VerifyReport

app = typer.Typer()
_ALL = 100.0


@app.command(epilog=example("csi-zfs store verify", "csi-zfs store verify --share 5 --rate 50Mi"))
@with_store
def verify(
    *,
    options: StoreOptions,
    share: Annotated[
        float,
        typer.Option(
            metavar="PERCENT",
            min=0.0,
            max=_ALL,
            help="How much of the packs, those first that this machine did not check for longest.",
        ),
    ] = _ALL,
    rate: Annotated[
        int | None,
        typer.Option(metavar="SIZE", parser=byte_count, help="Read no more in a second."),
    ] = None,
) -> None:
    """Read packs whole and check every chunk in them.

    What is bad is written down in the store and counts as absent: the next `put` that has the same
    content stores it again. The exit status is 3 then.
    """
    from csi_zfs.cas.verification import Verification

    with options.opened() as store:
        total = round(sum(store.places.packs().values()) * share / _ALL)
        with progress("verifying", total) as advance:
            verification = Verification(store, bytes_per_s=rate)
            report = verification.run(share=share / _ALL, progress=advance)
    _show(report, json=options.json)
    if report.bad or report.bad_packs:
        raise typer.Exit(DAMAGED)


def _show(report: "VerifyReport", *, json: bool) -> None:
    if json:
        bad = [
            {"digest": one.digest.hex(), "pack_id": one.pack_id.hex(), "why": one.why}
            for one in report.bad
        ]
        counts = {"packs": report.packs, "chunks": report.chunks, "read_bytes": report.read_bytes}
        print_json({**counts, "bad": bad, "bad_packs": report.bad_packs})
        return
    for problem in report.bad_packs:
        warn(problem)
    for one in report.bad:
        warn(f"chunk {one.digest.hex()} in pack {one.pack_id.hex()} is bad: {one.why}")
    typer.echo(
        f"{report.packs} packs with {report.chunks} chunks ({format_size(report.read_bytes)}) were"
        f" read: {len(report.bad)} chunks are bad"
    )
