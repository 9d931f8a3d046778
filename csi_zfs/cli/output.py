"""How things are shown: as tables and lines for people, as JSON for programs."""

import enum
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime

import typer

from csi_zfs.domain.keepers import Explanation
from csi_zfs.domain.model import PoolStatus
from csi_zfs.domain.sizes import format_size

_WIDTH_OF_A_PIPE = 240
_HEADER = ("NAME", "KIND", "STATE", "FREE", "TOTAL", "VOLUMES", "SNAPSHOTS", "HEALTH", "PLACE")


class OutputFormat(enum.StrEnum):
    """For whom the output is."""

    TABLE = "table"
    JSON = "json"


def show_pools(pools: Sequence[PoolStatus], output: OutputFormat) -> None:
    """Print several pools: one row, or one object of a list, for each."""
    if output is OutputFormat.JSON:
        print_json([asdict(pool) for pool in pools])
        return
    print_columns([_HEADER, *map(_row, pools)])


def show_pool(pool: PoolStatus, output: OutputFormat) -> None:
    """Print all about one pool: a line for each fact and each finding, or one object."""
    if output is OutputFormat.JSON:
        print_json(asdict(pool))
        return
    print_columns(
        [
            ("name", pool.name),
            ("path" if pool.path else "dataset", _place(pool)),
            ("pool id", pool.pool_id or "not known"),
            ("kind", pool.kind),
            ("state", pool.state),
            ("free", f"{format_size(pool.free_bytes)} of {format_size(pool.total_bytes)}"),
            ("volumes", str(pool.volumes)),
            ("snapshots", str(pool.snapshots)),
            ("health", _health(pool)),
            *(("", f"{finding.status} {finding.message}") for finding in pool.findings),
        ]
    )


def show_explanation(explanation: Explanation, output: OutputFormat) -> None:
    """Print what keeps an object: a line for each thing, or one object."""
    if output is OutputFormat.JSON:
        print_json(asdict(explanation))
        return
    is_named = explanation.id and f" {explanation.id}"
    typer.echo(f"{explanation.title}{is_named}, {explanation.name} on pool {explanation.pool_name}")
    for keeper in explanation.keepers:
        since = f" since {time_text(keeper.since_ns)}" if keeper.since_ns else ""
        typer.echo(f"{keeper.kind:<9} {keeper.name}: {keeper.words}{since}. Next: {keeper.advice}")
    if not explanation.keepers:
        typer.echo("nothing keeps it")


def time_text(time_ns: int) -> str:
    """A time for people, in UTC."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, tz=UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


def _row(pool: PoolStatus) -> tuple[str, ...]:
    return (
        pool.name,
        pool.kind,
        pool.state,
        format_size(pool.free_bytes),
        format_size(pool.total_bytes),
        str(pool.volumes),
        str(pool.snapshots),
        _health(pool),
        _place(pool),
    )


def _place(pool: PoolStatus) -> str:
    return str(pool.path or pool.dataset)


def _health(pool: PoolStatus) -> str:
    return ", ".join(finding.reason for finding in pool.findings) or "healthy"


def print_json(document: object) -> None:
    """Print one document for programs."""
    typer.echo(json.dumps(document, indent=2, default=str))


def print_columns(rows: Sequence[Sequence[str]]) -> None:
    """Print rows whose columns stand below each other."""
    # Loaded here: the driver itself, which must answer soon after its start, draws no tables.
    from rich.console import Console
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    for _ in rows[0]:
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    # Without a terminal rich assumes 80 columns and would break lines that a program reads.
    width = None if sys.stdout.isatty() else _WIDTH_OF_A_PIPE
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)
