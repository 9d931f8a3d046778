"""The locks say of each package what the others say, and lock what the project asks for."""

import re
import tomllib
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[3]
PYPROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())


def locked(name: str) -> dict[str, str]:
    text = (CHECKOUT / "requirements" / f"{name}.lock").read_text()
    found = re.findall(r"(?m)^([\w.-]+)==(\S+) \\$", text)
    return {normal(package): version for package, version in found}


def normal(requirement: str) -> str:
    return re.sub(r"[-_.]+", "-", re.split(r"[ <>=!~;\[]", requirement)[0]).lower()


def test_run_lock_has_every_dependency_of_the_project() -> None:
    assert {normal(name) for name in PYPROJECT["project"]["dependencies"]} <= locked("run").keys()


def test_build_lock_has_what_builds_the_project() -> None:
    assert {normal(name) for name in PYPROJECT["build-system"]["requires"]} == locked(
        "build"
    ).keys()


@pytest.mark.parametrize("name", ["run", "build"])
def test_lock_has_the_versions_that_are_tested(name: str) -> None:
    tested = locked("dev")
    assert {package: tested.get(package) for package in locked(name)} == locked(name)


@pytest.mark.parametrize("name", ["run", "build", "dev"])
def test_every_package_of_a_lock_has_hashes_and_no_address(name: str) -> None:
    text = (CHECKOUT / "requirements" / f"{name}.lock").read_text()
    packages = re.split(r"(?m)^(?=[\w.-]+==)", text)[1:]
    assert packages
    assert [package for package in packages if "--hash=sha256:" not in package] == []
    assert "://" not in text
