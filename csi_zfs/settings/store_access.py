"""What the environment says of the chunk store that a command is about."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.settings.environment import process_environment

_DEFAULT_REGION = "us-east-1"


class NoStateDirectoryError(InvalidRequestError):
    """Neither the environment nor the command says where to keep what is remembered of stores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreVariables:
    """The variables of the chunk store; what is not set is empty.

    Credentials of S3 have the names that every tool for it reads.
    """

    place: str
    endpoint: str
    region: str
    key_file: str
    passphrase_file: str
    passphrase: str = field(repr=False)
    access_key_id: str = field(repr=False)
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    state_directory: Path | None

    def require_state_directory(self) -> Path:
        """Where caches and memories of stores are kept; raises `NoStateDirectoryError`."""
        if self.state_directory is None:
            raise NoStateDirectoryError(
                "there is no home directory to remember stores in: give --state-dir or"
                " CSI_ZFS_STORE_STATE"
            )
        return self.state_directory


def read_store_variables(environ: Mapping[str, str] | None = None) -> StoreVariables:
    """Read them from `environ`, or from the environment of this process."""
    found = process_environment() if environ is None else environ
    return StoreVariables(
        place=found.get("CSI_ZFS_STORE", ""),
        endpoint=found.get("CSI_ZFS_STORE_ENDPOINT", ""),
        region=_first_of(found, "AWS_REGION", "AWS_DEFAULT_REGION") or _DEFAULT_REGION,
        key_file=found.get("CSI_ZFS_STORE_KEY_FILE", ""),
        passphrase_file=found.get("CSI_ZFS_STORE_PASSPHRASE_FILE", ""),
        passphrase=found.get("CSI_ZFS_STORE_PASSPHRASE", ""),
        access_key_id=found.get("AWS_ACCESS_KEY_ID", ""),
        secret_access_key=found.get("AWS_SECRET_ACCESS_KEY", ""),
        session_token=found.get("AWS_SESSION_TOKEN", ""),
        state_directory=_state_directory(found),
    )


def _state_directory(environ: Mapping[str, str]) -> Path | None:
    if chosen := environ.get("CSI_ZFS_STORE_STATE", ""):
        return Path(chosen).absolute()
    # XDG Base Directory Specification: a relative path counts as not set.
    if (state := environ.get("XDG_STATE_HOME", "")).startswith("/"):
        return Path(state) / "csi-zfs" / "stores"
    home = environ.get("HOME", "")
    return Path(home) / ".local/state/csi-zfs/stores" if home.startswith("/") else None


def _first_of(environ: Mapping[str, str], *names: str) -> str:
    """The first that is not empty."""
    return next((environ[name] for name in names if environ.get(name)), "")
