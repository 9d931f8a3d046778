"""Options that several commands take, and their checks: those of the settings file."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from csi_zfs.cli.output import OutputFormat
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.settings.grammars import POOL_NAME, POOL_PATH, SIZE
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


def pool_path(text: str) -> Path:
    """A pool's directory, relative to where the command runs; for an option's `parser`."""
    return _checked(POOL_PATH)(str(Path(text).absolute()))


pool_name = _checked(POOL_NAME)
size_bytes = _checked(SIZE)

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="The settings: TOML or YAML.")
]
PathOption = Annotated[
    Path,
    typer.Option("--path", metavar="DIR", parser=pool_path, help="The pool's directory."),
]
OutputOption = Annotated[
    OutputFormat, typer.Option("--output", "-o", help="For people, or for programs.")
]
