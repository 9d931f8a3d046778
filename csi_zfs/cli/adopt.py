"""`csi-zfs adopt`: what pools hold already, for a cluster that does not know it."""

import enum
import json
from collections.abc import Sequence
from typing import Annotated

import typer
import yaml

from csi_zfs.cli import options
from csi_zfs.cli.options import DEFAULT_CONFIG, ConfigOption, example
from csi_zfs.cli.pool import pool_named
from csi_zfs.cli.root import require_root
from csi_zfs.settings import load_settings

_NOT_ALL = 1  # as of any command that is refused

app = typer.Typer()


class DocumentFormat(enum.StrEnum):
    """How objects are printed; `kubectl apply -f -` takes both."""

    YAML = "yaml"
    JSON = "json"


class Content(enum.StrEnum):
    """What a zvol made by hand holds; a file system of ZFS says so itself."""

    EXT4 = "ext4"
    XFS = "xfs"
    BLOCK = "block"
    ZFS = "zfs"


ContentOption = Annotated[
    Content | None, typer.Option(help="What the named datasets hold; a zvol does not say it.")
]
ClassOption = Annotated[
    str, typer.Option(metavar="NAME", help="The storage class of the PersistentVolumes.")
]
SecretOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAMESPACE/NAME",
        help="The Secret with the key of encrypted volumes, for their PersistentVolumes.",
    ),
]
PoolOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", parser=options.pool_name, help="Only this pool of the settings."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Make no volumes: only print what would be.")
]
FormatOption = Annotated[
    DocumentFormat, typer.Option("--output", "-o", help="Both can be applied.")
]


@app.command(
    epilog=example(
        "csi-zfs adopt --storage-class tank > volumes.yaml",
        "csi-zfs adopt --pool tank --dry-run --fs-type ext4 database",
        "csi-zfs adopt --pool tank --fs-type ext4 database | kubectl apply -f -",
    )
)
def adopt(
    *,
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    pool: PoolOption = None,
    fs_type: ContentOption = None,
    storage_class: ClassOption = "",
    secret: SecretOption = None,
    dry_run: DryRunOption = False,
    output: FormatOption = DocumentFormat.YAML,
) -> None:
    """Print PersistentVolume objects for the volumes that pools hold.

    With NAMEs, first make volumes of these datasets, which somebody made by hand right below the
    `v` of a pool on OpenZFS, or brought there by `zfs rename`. Their data is not touched.
    """
    require_root()
    settings = load_settings(config)
    pools = settings.pools if pool is None else (pool_named(pool, settings.pools),)
    from csi_zfs import app as driver

    request = driver.AdoptionRequest(
        names=tuple(names or ()),
        content=fs_type or "",
        storage_class=storage_class,
        secret=None if secret is None else driver.SecretName(*_parts_of(secret)),
        is_dry_run=dry_run,
    )
    adopted = driver.adopt(settings, pools, request)
    typer.echo(_printed(adopted.objects, output), nl=False)
    for failure in adopted.failures:
        typer.echo(f"csi-zfs: {failure}", err=True)
    if adopted.failures:
        raise typer.Exit(_NOT_ALL)


def _parts_of(secret: str) -> tuple[str, str]:
    namespace, _, name = secret.partition("/")
    if not (namespace and name) or "/" in name:
        raise typer.BadParameter("must be NAMESPACE/NAME", param_hint="'--secret'")
    return namespace, name


def _printed(objects: Sequence[dict[str, object]], output: DocumentFormat) -> str:
    if output is DocumentFormat.JSON:
        return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=2) + "\n"
    # Every object says where it begins, so that files of several pools can be put together.
    return yaml.safe_dump_all(objects, explicit_start=True, sort_keys=False)
