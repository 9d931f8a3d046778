from pathlib import Path

import pytest

from e2e.vm import recipe
from e2e.vm.recipe import Keys, digest, installed_part, keys_of

PYPROJECT = """\
[build-system]
requires = ["setuptools"]
[project]
name = "csi-zfs"
version = "1"
[tool.setuptools.packages.find]
include = ["csi_zfs"]
[tool.ruff]
line-length = 100
"""


@pytest.fixture(name="checkout")
def fixture_checkout(tmp_path: Path) -> Path:
    (tmp_path / "requirements").mkdir()
    (tmp_path / recipe.LOCK).write_text("pytest==1\n")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    return tmp_path


@pytest.fixture(name="before")
def fixture_before(checkout: Path) -> Keys:
    return keys_of(checkout)


def test_keys_are_the_same_for_the_same_inputs(checkout: Path, before: Keys) -> None:
    assert keys_of(checkout) == before
    assert before.system != before.environment


def test_another_lock_is_another_environment_on_the_same_system(
    checkout: Path, before: Keys
) -> None:
    """Compiling the kernel module takes minutes, and a lock has nothing to do with it."""
    (checkout / recipe.LOCK).write_text("pytest==2\n")
    after = keys_of(checkout)
    assert after.system == before.system
    assert after.environment != before.environment


def test_another_package_is_another_system_and_another_environment(
    checkout: Path, before: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "PACKAGES", (*recipe.PACKAGES, "fio"))
    after = keys_of(checkout)
    assert after.system != before.system
    assert after.environment != before.environment


@pytest.mark.parametrize("name", [*recipe.SYSTEM_FILES, *recipe.ENVIRONMENT_FILES])
def test_another_text_of_a_file_is_another_environment(
    checkout: Path, before: Keys, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    texts = {path.name: path.read_text() for path in recipe.FILES.iterdir()}
    other = checkout / "files"
    other.mkdir()
    for file, text in (texts | {name: "other"}).items():
        (other / file).write_text(text)
    monkeypatch.setattr(recipe, "FILES", other)
    after = keys_of(checkout)
    assert (after.system != before.system) == (name in recipe.SYSTEM_FILES)
    assert after.environment != before.environment


def test_every_file_of_the_recipe_is_in_a_key() -> None:
    found = sorted(path.name for path in recipe.FILES.iterdir())
    assert found == sorted([*recipe.SYSTEM_FILES, *recipe.ENVIRONMENT_FILES])


def test_digest_tells_where_a_part_ends() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"])


def test_installed_part_is_the_project_without_the_tools() -> None:
    assert installed_part(PYPROJECT) == installed_part(PYPROJECT.replace("100", "80"))
    assert installed_part(PYPROJECT) != installed_part(PYPROJECT.replace('"1"', '"2"'))
    assert installed_part(PYPROJECT) != installed_part(PYPROJECT.replace('["csi_zfs"]', '["x"]'))


def test_no_address_is_written_down_in_the_recipe() -> None:
    for path in recipe.FILES.parent.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            assert not [line for line in path.read_text().splitlines() if "debian.org" in line]
