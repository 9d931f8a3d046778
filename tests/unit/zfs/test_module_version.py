from pathlib import Path

import pytest

from csi_zfs.zfs.errors import ModuleVersionError
from csi_zfs.zfs.module_version import require_served_module


def written(folder: Path, text: str) -> Path:
    path = folder / "version"
    path.write_text(f"{text}\n")
    return path


@pytest.mark.parametrize("text", ["2.3.0", "2.3.2-2~bpo12+2", "2.3.10-1"])
def test_release_of_the_series_is_served(tmp_path: Path, text: str) -> None:
    assert require_served_module(written(tmp_path, text)) == text


@pytest.mark.parametrize(
    "text",
    ["2.2.9-1", "2.4.0", "3.3.0", "2.3.0-rc5", "2.3.99-1", "2.30.0", "2.3", "0.8.6-1", ""],
)
def test_another_version_is_refused_with_both_in_the_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(ModuleVersionError, match=r"works with releases of 2\.3") as caught:
        require_served_module(written(tmp_path, text))
    assert f"OpenZFS {text};" in str(caught.value)


def test_kernel_without_openzfs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModuleVersionError, match="not loaded"):
        require_served_module(tmp_path / "version")
