"""`csi-zfs store forget`: remove what a policy does not keep."""

from typing import TYPE_CHECKING, Annotated

import typer

from csi_zfs.cli.options import example
from csi_zfs.cli.output import print_columns, print_json, time_text
from csi_zfs.cli.store.options import LabelOption, StoreOptions, parse_labels, with_store
from csi_zfs.cli.store.output import labels_text, manifest_document

if TYPE_CHECKING:
    from csi_zfs.cas.api import Manifest

app = typer.Typer()
KeepOption = Annotated[int, typer.Option(metavar="N", min=0)]


@app.command(
    epilog=example(
        "csi-zfs store forget --by of --keep-daily 7 --keep-weekly 4 --keep-monthly 12 --dry-run",
        "csi-zfs store forget --label of=database --keep-last 3",
    )
)
@with_store
def forget(
    *,
    options: StoreOptions,
    keep_last: KeepOption = 0,
    keep_hourly: KeepOption = 0,
    keep_daily: KeepOption = 0,
    keep_weekly: KeepOption = 0,
    keep_monthly: KeepOption = 0,
    by: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Each value of this label is a series of its own; without it all are one.",
        ),
    ] = None,
    label: LabelOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show it.")] = False,
) -> None:
    """Remove manifests that no rule keeps; the newest of each series always stays.

    Kept are the last N, and the newest of each of the last N hours, days, weeks (from Monday) and
    months that have one, by UTC. `csi-zfs store gc` then frees what nothing needs.
    """
    labels = parse_labels(label)
    from csi_zfs.cas.choosing import with_labels
    from csi_zfs.cas.retention import Policy, by_label, kept

    policy = Policy(
        last=keep_last,
        hourly=keep_hourly,
        daily=keep_daily,
        weekly=keep_weekly,
        monthly=keep_monthly,
    )
    with options.opened(is_fresh=False) as store:
        manifests = with_labels(store.manifests(), labels)
        series = by_label(manifests, by).values() if by is not None else [manifests]
        reasons: dict[str, list[str]] = {}
        for one in series:
            reasons |= kept(one, policy)
        if not dry_run:
            ids = [manifest.manifest_id for manifest in manifests]
            store.delete(*(one for one in ids if one not in reasons))
    _show(manifests, reasons, json=options.json, dry_run=dry_run)


def _show(
    manifests: "list[Manifest]", reasons: dict[str, list[str]], *, json: bool, dry_run: bool
) -> None:
    if json:
        removed = [one.manifest_id for one in manifests if one.manifest_id not in reasons]
        keeps = [
            manifest_document(one) | {"kept_as": reasons[one.manifest_id]}
            for one in manifests
            if one.manifest_id in reasons
        ]
        print_json({"removed": removed, "kept": keeps, "is_dry_run": dry_run})
        return
    gone = "would be removed" if dry_run else "removed"
    rows = [
        (
            one.manifest_id,
            time_text(one.created_ns),
            ", ".join(reasons.get(one.manifest_id, [gone])),
            labels_text(one.root.labels),
        )
        for one in manifests
    ]
    print_columns([("MANIFEST", "CREATED", "KEPT AS", "LABELS"), *rows])
