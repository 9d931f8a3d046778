"""The options that every store command takes: which store, what opens it, for whom the output is.

A command that is decorated with `with_store` has one parameter for all of them, `options`.
"""

import inspect
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from csi_zfs.cli.store.secrets import Secrets
from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.sizes import InvalidSizeError, parse_size
from csi_zfs.settings.store_access import StoreVariables, read_store_variables

if TYPE_CHECKING:
    from csi_zfs.app.stores import StoreAccess
    from csi_zfs.cas.store import Store

StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        "-s",
        metavar="PLACE",
        help="A directory or s3://bucket/prefix; CSI_ZFS_STORE where it is not given.",
    ),
]
EndpointOption = Annotated[
    str | None,
    typer.Option(metavar="URL", help="The server of s3://; Amazon's where none is given."),
]
RegionOption = Annotated[str | None, typer.Option(metavar="NAME", help="The region of s3://.")]
KeyFileOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A file with a key of at least 32 bytes.")
]
PassphraseFileOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A file whose first line is a passphrase.")
]
StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        metavar="DIR",
        help="Where this machine remembers stores; CSI_ZFS_STORE_STATE, or in the home directory.",
    ),
]
LabelOption = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=VALUE", help="May be given again."),
]
ManifestArgument = Annotated[
    str, typer.Argument(metavar="MANIFEST", help="An id, or the beginning that only it has.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document, for programs.")]
_COMMON: Mapping[str, tuple[object, object]] = {
    "store": (StoreOption, None),
    "endpoint": (EndpointOption, None),
    "region": (RegionOption, None),
    "key_file": (KeyFileOption, None),
    "passphrase_file": (PassphraseFileOption, None),
    "state_dir": (StateOption, None),
    "json": (JsonOption, False),
}


class NoPlaceError(InvalidRequestError):
    """Nothing says where the store is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """What a command was told of its store."""

    store: str | None
    endpoint: str | None
    region: str | None
    key_file: Path | None
    passphrase_file: Path | None
    state_dir: Path | None
    json: bool

    def access(self, place: str | None = None, *, is_new: bool = False) -> "StoreAccess":
        """Where the store is and what opens it; asks for a passphrase where nothing else does.

        Raises `NoPlaceError`, `NoSecretError` and what reading a secret raises.
        """
        from csi_zfs.app.stores import StoreAccess, place_of

        variables = self._variables()
        named = place or self.store or variables.place
        if not named:
            raise NoPlaceError("which store? give --store, or CSI_ZFS_STORE")
        return StoreAccess(
            place=place_of(named, variables),
            credential=self.secrets().credential("the store", is_new=is_new),
            state_directory=self.state_dir or variables.require_state_directory(),
        )

    def secrets(self) -> Secrets:
        """Where the secret of the store comes from."""
        return Secrets(self.key_file, self.passphrase_file, self._variables())

    @contextmanager
    def opened(self, *, is_fresh: bool = True) -> Iterator["Store"]:
        """The store, for the length of a `with` block.

        It is told first what others wrote, unless what follows does so itself or needs no chunk.
        """
        from csi_zfs.app.stores import opened_store

        with _ending_in_order(), opened_store(self.access(), warn) as store:
            if is_fresh:
                store.refresh()
            yield store

    def _variables(self) -> StoreVariables:
        found = read_store_variables()
        return replace(
            found,
            endpoint=self.endpoint or found.endpoint,
            region=self.region or found.region,
        )


@contextmanager
def _ending_in_order() -> Iterator[None]:
    """Within the block SIGTERM, as a timer of systemd sends it, ends a command as Ctrl-C does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def warn(words: str) -> None:
    """Tell the user something beside the output."""
    typer.echo(f"csi-zfs: {words}", err=True)


def byte_count(text: str) -> int:
    """A number of bytes such as `256Ki`; for an option's `parser`."""
    try:
        return parse_size(str(text))
    except InvalidSizeError as exc:
        raise typer.BadParameter(str(exc)) from exc


def parse_labels(texts: list[str] | None) -> dict[str, str]:
    """Labels from the words of a command."""
    from csi_zfs.cas.choosing import parse_label

    return dict(parse_label(text) for text in texts or ())


def with_store(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of this module, which it gets as `options`."""

    @wraps(command)
    def run(**arguments: object) -> None:
        given: dict[str, Any] = {name: arguments.pop(name) for name in _COMMON}
        command(options=StoreOptions(**given), **arguments)

    own = inspect.signature(command, eval_str=True).parameters.values()
    common = [
        inspect.Parameter(
            name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
        )
        for name, (annotation, default) in _COMMON.items()
    ]
    shown = [parameter for parameter in own if parameter.name != "options"]
    # Typer reads the options of a command from its signature.
    run.__signature__ = inspect.Signature([*shown, *common])  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in [*shown, *common]}
    return run
