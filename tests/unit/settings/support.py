"""Files of settings, and the mistakes in them."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from csi_zfs.settings import Problem, SettingsError, load_settings


def write(directory: Path, text: str | bytes, suffix: str = "toml") -> Path:
    path = directory / f"config.{suffix}"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def problems_of(path: Path | None, environ: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ or {})
    assert str(caught.value) == "\n".join(map(str, caught.value.problems))
    return caught.value.problems
