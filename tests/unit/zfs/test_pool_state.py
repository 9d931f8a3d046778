from pathlib import Path

import pytest

from csi_zfs.zfs.pool_state import PoolState, PoolStates


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("ONLINE\n", PoolState.ONLINE),
        ("SUSPENDED\n", PoolState.SUSPENDED),
        ("A WORD OF LATER\n", PoolState.UNKNOWN),
    ],
)
def test_state_is_the_word_of_the_kernel(tmp_path: Path, text: str, state: PoolState) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "state").write_text(text)
    assert PoolStates(tmp_path).read("pool") is state


def test_pool_without_a_file_is_not_imported(tmp_path: Path) -> None:
    assert PoolStates(tmp_path).read("pool") is PoolState.NOT_IMPORTED
