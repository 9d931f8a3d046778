"""`csi-zfs store check`: whether a store is whole."""

from typing import TYPE_CHECKING, Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_json
from csi_zfs.cli.statuses import DAMAGED
from csi_zfs.cli.store.options import StoreOptions, warn, with_store
from csi_zfs.cli.store.progress import progress, tell

if TYPE_CHECKING:
    from csi_zfs.cas.checking import CheckReport
    from csi_zfs.cas.verification import VerifyReport

app = typer.Typer()


@app.command(epilog=example("csi-zfs store check", "csi-zfs store check --read-data"))
@with_store
def check(
    *,
    options: StoreOptions,
    read_data: Annotated[
        bool, typer.Option("--read-data", help="Read every chunk too, as `verify` does.")
    ] = False,
) -> None:
    """Check keys, journal, packs, indexes, and that every manifest has all of its chunks.

    Nothing is changed, but that `--read-data` writes down what is bad. The exit status is 3 where
    something is wrong.
    """
    from csi_zfs.cas.checking import Check
    from csi_zfs.cas.verification import Verification

    verified = None
    with options.opened() as store:
        if read_data:
            total = sum(store.places.packs().values())
            with progress("verifying", total) as advance:
                verified = Verification(store).run(share=1.0, progress=advance)
        report = Check(store).run(tell)
    _show(report, verified, json=options.json)
    if report.findings or (verified is not None and (verified.bad or verified.bad_packs)):
        raise typer.Exit(DAMAGED)


def _show(report: "CheckReport", verified: "VerifyReport | None", *, json: bool) -> None:
    bad = [one.digest.hex() for one in verified.bad] if verified else []
    if json:
        findings = [{"where": one.where, "what": one.what} for one in report.findings]
        counts = {"objects": report.objects, "manifests": report.manifests}
        print_json(
            {**counts, "findings": findings, "damaged": sorted(report.damaged), "bad_chunks": bad}
        )
        return
    for one in report.findings:
        warn(f"{one.where}: {one.what}")
    for digest in bad:
        warn(f"chunk {digest} is bad")
    words = f"{report.objects} objects and {report.manifests} manifests were checked: "
    wrong = len(report.findings) + len(bad)
    if not wrong:
        typer.echo(f"{words}the store is whole")
        return
    typer.echo(
        f"{words}{wrong} things are wrong, {len(report.damaged)} manifests cannot be restored whole"
    )
