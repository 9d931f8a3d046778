"""Keys and passphrases: from a file, the environment or a terminal, never from the arguments."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.settings.store_access import StoreVariables

if TYPE_CHECKING:
    from csi_zfs.cas.slots import Credential

_MAX_BYTES = 1 << 20


class NoSecretError(InvalidRequestError):
    """Nothing says what opens the store, and nobody can be asked."""


class SecretUnreadableError(InvalidRequestError):
    """The file with a key or a passphrase cannot be read."""


@dataclass(frozen=True, slots=True)
class Secrets:
    """Where a secret comes from: what the command says goes over the environment."""

    key_file: Path | None
    passphrase_file: Path | None
    variables: StoreVariables | None

    def credential(self, of_what: str, *, is_new: bool = False) -> "Credential":
        """Read it; a new passphrase from a terminal is asked for twice.

        Raises `NoSecretError`, `SecretUnreadableError`.
        """
        from csi_zfs.cas.slots import Credential, SlotKind

        if self.key_file and self.passphrase_file:
            raise typer.BadParameter("goes not with --passphrase-file", param_hint="'--key-file'")
        key_file, passphrase_file, passphrase = self._chosen()
        if key_file:
            return Credential(SlotKind.KEY, _read(key_file))
        if passphrase_file:
            return Credential(SlotKind.PASSPHRASE, _first_line(passphrase_file))
        text = passphrase or _asked(of_what, is_new=is_new)
        return Credential(SlotKind.PASSPHRASE, text.encode())

    def _chosen(self) -> tuple[Path | None, Path | None, str]:
        found = self.variables
        if self.key_file or self.passphrase_file or found is None:
            return self.key_file, self.passphrase_file, ""
        key_file = Path(found.key_file) if found.key_file else None
        passphrase_file = Path(found.passphrase_file) if found.passphrase_file else None
        return key_file, passphrase_file, found.passphrase


def _asked(of_what: str, *, is_new: bool) -> str:
    if not sys.stdin.isatty():
        raise NoSecretError(
            f"what opens {of_what}? give a file with a key or a passphrase (`--help` names the"
            " options), or run this at a terminal to be asked"
        )
    words = f"{'New passphrase' if is_new else 'Passphrase'} of {of_what}"
    answer: str = typer.prompt(words, hide_input=True, confirmation_prompt=is_new, err=True)
    return answer


def _first_line(path: Path) -> bytes:
    return _read(path).partition(b"\n")[0].removesuffix(b"\r")


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_BYTES + 1)
    except OSError as exc:
        raise SecretUnreadableError(f"{path} cannot be read: {exc.strerror}") from exc
    if len(data) > _MAX_BYTES:
        raise SecretUnreadableError(f"{path} is no file with a key: it has more than 1 MiB")
    return data
