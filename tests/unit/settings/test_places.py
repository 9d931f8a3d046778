"""Where pools may lie: each at one place, and none at or below another's."""

from pathlib import Path

import pytest

from csi_zfs.domain.ids import MAX_POOL_PARENT_BYTES
from csi_zfs.settings import PoolSettings, load_settings
from csi_zfs.zfs.pools import require_parent_name
from tests.unit.settings.support import problems_of, write

LONGEST = "tank/" + "a" * (MAX_POOL_PARENT_BYTES - len("tank/"))
DATASETS = ["tank/csi", "tank/a/b", "Tank-1.x/k8s_node:1", "0/1", LONGEST]
WITHOUT_A_PART = ["", "tank", "tank/", "/tank/csi", "tank//csi", "../csi"]
WITH_WRONG_CHARACTERS = ["tank/-r", "-r/csi", "tank/%recv", "tank/ä", "tank/a b", "tank/csi\u0007"]
WITH_WRONG_CHARACTERS += ["tank/csi@s", "tank/csi#b", "tank/csi,a"]


def pool_of(dataset: object) -> str:
    return f"[[pools]]\nname = 'tank'\ndataset = {dataset!r}\n"


@pytest.mark.parametrize("dataset", DATASETS)
def test_dataset_that_the_settings_take_is_one_for_the_engine(tmp_path: Path, dataset: str) -> None:
    settings = load_settings(write(tmp_path, pool_of(dataset)), {})

    assert settings.pools == (PoolSettings("tank", dataset=dataset),)
    assert require_parent_name(dataset) == dataset


@pytest.mark.parametrize("dataset", [*WITHOUT_A_PART, *WITH_WRONG_CHARACTERS])
def test_dataset_of_the_wrong_form_is_refused(tmp_path: Path, dataset: str) -> None:
    """rules.md C1: what is no name of a dataset reaches no call and no command."""
    (problem,) = problems_of(write(tmp_path, f"pools: [{{name: a, dataset: {dataset!a}}}]", "yaml"))

    assert problem.where == "pools[0].dataset"
    assert "is not a zpool and a dataset in it such as tank/csi" in problem.message


def test_dataset_that_is_too_long_is_refused_with_the_reason(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path, pool_of(LONGEST + "a")))

    assert str(problem) == (
        f"{tmp_path}/config.toml:3: pools[0].dataset: has 121 bytes: it may have 120, so that the"
        " longest name of a snapshot below it fits into the 255 bytes of ZFS"
    )


def test_dataset_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path, pool_of(7)))

    assert problem.message.endswith("of at most 120 bytes, not a number")


def test_every_mistake_about_places_is_told_with_its_line(tmp_path: Path) -> None:
    text = """
pools:
- {name: a}
- {name: b, path: /srv/b, dataset: tank/b}
- {name: c, dataset: tank/c, size: 10Gi}
- {name: d, path: d, dataset: tank, size: 10Gi}
- {name: e, size: 10Gi}
"""

    found = problems_of(write(tmp_path, text, "yaml"))

    assert [(problem.line, problem.where, problem.message[:30]) for problem in found] == [
        (3, "pools[0]", "needs a path (an embedded pool"),
        (4, "pools[1].dataset", "a pool has a path or a dataset"),
        (5, "pools[2].size", "is for a pool with a path; a d"),
        (6, "pools[3].dataset", "a pool has a path or a dataset"),
        (6, "pools[3].path", "'d' is not the path of a pool'"),
        (6, "pools[3].dataset", "'tank' is not a zpool and a da"),
        (7, "pools[4]", "needs a path (an embedded pool"),
    ]


def test_pools_on_one_dataset_or_below_another_are_refused(tmp_path: Path) -> None:
    """They would destroy each other; `tank/csi2` is beside `tank/csi`."""
    text = """
pools:
- {name: a, dataset: tank/csi/v/x}
- {name: b, dataset: tank/csi}
- {name: c, dataset: tank/csi}
- {name: d, dataset: tank/csi2}
"""

    found = problems_of(write(tmp_path, text, "yaml"))

    assert [(problem.line, problem.where, problem.message) for problem in found] == [
        (5, "pools[2].dataset", "'tank/csi' is that of pools[1] already"),
        (
            3,
            "pools[0].dataset",
            "'tank/csi/v/x' lies below 'tank/csi', which is that of pools[1]",
        ),
        (
            3,
            "pools[0].dataset",
            "'tank/csi/v/x' lies below 'tank/csi', which is that of pools[2]",
        ),
    ]
