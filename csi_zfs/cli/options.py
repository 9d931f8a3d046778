"""Options that several commands take, and their checks: those of the settings file."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from csi_zfs.cli.output import OutputFormat
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.settings.grammars import DATASET, POOL_NAME, POOL_PATH, SIZE
from csi_zfs.settings.kinds import Kind

T = TypeVar("T")
DEFAULT_CONFIG = Path("/etc/csi-zfs/config.toml")


def example(*lines: str) -> str:
    """The end of a command's help: lines to copy."""
    return "\n".join(["\b", "Example:", *(f"  {line}" for line in lines)])


def _checked(kind: Kind[T]) -> Callable[[str], T]:
    def parse(text: str) -> T:
        try:
            return kind.parse(text)
        except InvalidRequestError as exc:
            raise typer.BadParameter(str(exc)) from exc

    return parse


def require_path(path: Path | None, *, or_else: str = "") -> Path:
    """The value of `--path`, without which the command cannot do anything."""
    if path is None:
        what = f"the pool's directory, or {or_else}" if or_else else "the pool's directory"
        raise typer.BadParameter(f"is missing: give {what}", param_hint="'--path'")
    return path


def pool_path(text: str) -> Path:
    """A pool's directory, relative to where the command runs; for an option's `parser`."""
    return _checked(POOL_PATH)(str(Path(text).absolute()))


pool_name = _checked(POOL_NAME)
pool_dataset = _checked(DATASET)
size_bytes = _checked(SIZE)

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="The settings: TOML or YAML.")
]
PathOption = Annotated[
    Path | None,
    typer.Option("--path", metavar="DIR", parser=pool_path, help="An embedded pool's directory."),
]
DatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        metavar="ZPOOL/DATASET",
        parser=pool_dataset,
        help="The dataset of a pool on OpenZFS.",
    ),
]
# For commands that OpenZFS has of its own: they say which, instead of "no such option".
RefusedDatasetOption = Annotated[
    str | None, typer.Option("--dataset", parser=pool_dataset, hidden=True)
]
OutputOption = Annotated[
    OutputFormat, typer.Option("--output", "-o", help="For people, or for programs.")
]
