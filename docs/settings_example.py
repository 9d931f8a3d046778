"""Makes docs/guides/settings-example.toml from the table of settings.

To write it anew: python -m docs.settings_example
"""

import json
import textwrap
from pathlib import Path

from csi_zfs.settings import POOL_TABLE, SETTINGS_TABLE, SettingSpec

PATH = Path(__file__).parent / "guides" / "settings-example.toml"
COLUMNS = 100
HEAD = """\
# The settings of csi-zfs: copy this file to /etc/csi-zfs/config.toml and name your pools at its
# end. Every line that is commented out shows what holds without it. An environment variable, such
# as CSI_ZFS_LOG_LEVEL for log_level, goes over the file. docs/reference/settings.md says more.
"""
POOLS_HEAD = """\

# One table for each pool of this machine; at least one.
[[pools]]
"""
# For what has no default: a value to show.
SHOWN = {"name": "fast", "path": "/srv/csi-zfs/fast", "size": "100Gi", "node_id": "worker-1"}


def example_toml() -> str:
    """The example: it loads as it is, and with any of its lines uncommented."""
    settings = "".join(f"\n{_entry(spec)}" for spec in SETTINGS_TABLE)
    return HEAD + settings + POOLS_HEAD + "".join(map(_entry, POOL_TABLE))


def _entry(spec: SettingSpec) -> str:
    words = textwrap.fill(spec.words, COLUMNS, initial_indent="# ", subsequent_indent="# ")
    value = SHOWN[spec.key] if spec.default is None else spec.default
    mark = "" if spec.is_required else "#"
    return f"{words}\n{mark}{spec.key} = {json.dumps(value)}\n"


if __name__ == "__main__":
    PATH.write_text(example_toml(), encoding="utf-8")
