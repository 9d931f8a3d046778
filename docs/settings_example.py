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
OPENZFS_POOL = """
# A pool on OpenZFS has `dataset` in place of `path` and `size`: these three lines, and the last two
# from above where they are wanted.
{words}
#[[pools]]
#name = "tank"
#dataset = "tank/csi"
"""
# For what has no default: a value to show.
SHOWN = {"name": "fast", "path": "/srv/csi-zfs/fast", "size": "100Gi", "node_id": "worker-1"}
UNCOMMENTED = {"name", "path"}


def example_toml() -> str:
    """The example: it loads as it is, and with its lines uncommented."""
    settings = "".join(f"\n{_entry(spec)}" for spec in SETTINGS_TABLE)
    specs = {spec.key: spec for spec in POOL_TABLE}
    openzfs = OPENZFS_POOL.format(words=_words(specs.pop("dataset")))
    return HEAD + settings + POOLS_HEAD + "".join(map(_entry, specs.values())) + openzfs


def _entry(spec: SettingSpec) -> str:
    value = SHOWN[spec.key] if spec.default is None else spec.default
    mark = "" if spec.key in UNCOMMENTED else "#"
    return f"{_words(spec)}\n{mark}{spec.key} = {json.dumps(value)}\n"


def _words(spec: SettingSpec) -> str:
    return textwrap.fill(spec.words, COLUMNS, initial_indent="# ", subsequent_indent="# ")


if __name__ == "__main__":
    PATH.write_text(example_toml(), encoding="utf-8")
