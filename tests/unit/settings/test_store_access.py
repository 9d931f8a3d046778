import difflib
from dataclasses import fields
from pathlib import Path

import pytest

from csi_zfs.settings import SETTINGS_TABLE
from csi_zfs.settings.loader import _NEARLY_A_VARIABLE
from csi_zfs.settings.store_access import NoStateDirectoryError, read_store_variables


def test_state_is_kept_where_the_environment_says() -> None:
    chosen = {"CSI_ZFS_STORE_STATE": "/state", "XDG_STATE_HOME": "/xdg", "HOME": "/home/me"}
    assert read_store_variables(chosen).require_state_directory() == Path("/state")
    del chosen["CSI_ZFS_STORE_STATE"]
    found = read_store_variables(chosen).require_state_directory()
    assert found == Path("/xdg/csi-zfs/stores")
    chosen["XDG_STATE_HOME"] = "relative"
    found = read_store_variables(chosen).require_state_directory()
    assert found == Path("/home/me/.local/state/csi-zfs/stores")
    with pytest.raises(NoStateDirectoryError):
        read_store_variables({}).require_state_directory()


def test_secrets_are_not_shown() -> None:
    """rules.md C4."""
    names = ("CSI_ZFS_STORE_PASSPHRASE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    found = read_store_variables(dict.fromkeys((*names, "AWS_SESSION_TOKEN"), "canary"))

    assert "canary" not in repr(found)
    assert sum(getattr(found, one.name) == "canary" for one in fields(found)) == 4


def test_variables_are_not_taken_for_misspelt_settings() -> None:
    """A driver started with them says nothing of them."""
    names = ["", "_ENDPOINT", "_KEY_FILE", "_PASSPHRASE", "_PASSPHRASE_FILE", "_STATE"]
    known = [spec.variable for spec in SETTINGS_TABLE]
    for name in names:
        near = difflib.get_close_matches(
            f"CSI_ZFS_STORE{name}", known, n=1, cutoff=_NEARLY_A_VARIABLE
        )
        assert not near


def test_region_that_is_empty_is_not_set() -> None:
    assert read_store_variables({"AWS_REGION": "", "AWS_DEFAULT_REGION": "x"}).region == "x"
    assert read_store_variables({"AWS_DEFAULT_REGION": ""}).region == "us-east-1"
    assert read_store_variables({"AWS_REGION": "y", "AWS_DEFAULT_REGION": "x"}).region == "y"
