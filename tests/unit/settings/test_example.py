"""docs/guides/settings-example.toml is current, and can be used as it is."""

import os
import re
from pathlib import Path

from csi_zfs.domain.sizes import GIB
from csi_zfs.settings import PoolSettings, Settings, load_settings
from docs.settings_example import PATH, example_toml
from tests.unit.settings.support import write


def test_example_equals_what_the_table_says() -> None:
    """Otherwise run `python -m docs.settings_example`."""
    assert PATH.read_text(encoding="utf-8") == example_toml()


def test_example_loads_as_it_is() -> None:
    assert load_settings(PATH, {}) == Settings(
        pools=(PoolSettings("fast", Path("/srv/csi-zfs/fast")),), node_id=os.uname().nodename
    )


def test_example_with_every_line_uncommented_says_the_defaults(tmp_path: Path) -> None:
    """Only the node's name and the pool's size have no default to show; a second pool comes."""
    uncommented, count = re.subn(r"^#(?=[a-z\[])", "", example_toml(), flags=re.MULTILINE)

    assert count == 25
    assert load_settings(write(tmp_path, uncommented), {}) == Settings(
        pools=(
            PoolSettings("fast", Path("/srv/csi-zfs/fast"), 100 * GIB),
            PoolSettings("tank", dataset="tank/csi"),
        ),
        node_id="worker-1",
    )
