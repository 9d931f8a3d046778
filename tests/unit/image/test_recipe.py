import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.image import recipe
from e2e.image.recipe import Keys, epoch, image_name, keys_of

CHECKOUT = Path(__file__).parents[3]
FILES = {
    "Dockerfile": "FROM debian\n",
    "csi_zfs/app.py": "pass\n",
    "pyproject.toml": '[project]\nname = "csi-zfs"\nversion = "1.2"\n',
    "requirements/build.lock": "setuptools==1\n",
    "requirements/run.lock": "grpcio==1\n",
}


@pytest.fixture(name="context")
def fixture_context(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture(name="before")
def fixture_before(context: Path) -> Keys:
    return keys_of(context)


def changed(context: Path, name: str) -> Keys:
    (context / name).write_text("other\n")
    return keys_of(context)


def test_keys_are_the_same_for_the_same_inputs(context: Path, before: Keys) -> None:
    os.utime(context / "csi_zfs/app.py", (1, 1))
    assert keys_of(context) == before


@pytest.mark.parametrize("name", ["Dockerfile", "csi_zfs/app.py"])
def test_another_text_is_another_image_of_the_same_parts(
    context: Path, before: Keys, name: str
) -> None:
    after = changed(context, name)
    assert replace(after, image=before.image) == before
    assert after.image != before.image


def test_another_lock_is_other_wheels_and_another_image(context: Path, before: Keys) -> None:
    after = changed(context, "requirements/run.lock")
    assert (after.base, after.layers) == (before.base, before.layers)
    assert (after.wheels != before.wheels, after.image != before.image) == (True, True)


def test_another_base_is_another_image(
    context: Path, before: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "BASE_PACKAGES", (*recipe.BASE_PACKAGES, "ca-certificates"))
    after = keys_of(context)
    assert (after.base != before.base, after.image != before.image) == (True, True)


def test_another_time_is_another_image_of_other_layers(context: Path, before: Keys) -> None:
    """The layers of another time would be taken as they are."""
    after = keys_of(context, epoch_s=1)
    assert (after.base, after.wheels) == (before.base, before.wheels)
    assert (after.layers != before.layers, after.image != before.image) == (True, True)


def test_a_file_under_another_name_is_another_image(context: Path, before: Keys) -> None:
    (context / "csi_zfs/app.py").rename(context / "csi_zfs/other.py")
    assert keys_of(context).image != before.image


def test_time_is_the_one_that_the_environment_asks_for() -> None:
    assert epoch({"SOURCE_DATE_EPOCH": "7"}) == 7
    assert epoch({}) == epoch({"SOURCE_DATE_EPOCH": ""}) == recipe.DEFAULT_EPOCH_S


def test_image_is_named_after_the_version() -> None:
    assert image_name(FILES["pyproject.toml"]) == "localhost/csi-zfs:1.2"


def test_labels_say_what_the_project_says() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', dockerfile()))
    assert labels == {
        "title": project["name"],
        "description": project["description"],
        "licenses": project["license"],
        "version": project["version"],
    }


def dockerfile() -> str:
    return (CHECKOUT / "Dockerfile").read_text()
