import json
import runpy
import sys
from pathlib import Path

import pytest

from tools.sbom import Component, bill, debian_components, distributions, python_components

STATUS = """\
Package: zfsutils-linux
Status: install ok installed
Architecture: amd64
Version: 2.3.2-2~bpo12+2
Description: command-line tools
 Version: this is no field

Package: libstdc++6
Status: install ok installed
Architecture: amd64
Version: 1:12.2

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1
"""
PROJECT: Component = {"name": "csi-zfs", "version": "1", "purl": "pkg:pypi/csi-zfs@1"}
OTHER: Component = {"name": "blake3", "version": "2", "purl": "pkg:pypi/blake3@2"}


@pytest.fixture(name="site_packages")
def fixture_site_packages(tmp_path: Path) -> Path:
    for name, field in (("PyYAML", "License: MIT"), ("csi_zfs", "License-Expression: Apache-2.0")):
        directory = tmp_path / "lib" / f"{name}-1.0.dist-info"
        directory.mkdir(parents=True)
        (directory / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n{field}\n\nwords\n")
    return tmp_path


def test_packages_that_are_installed_are_listed() -> None:
    found = list(debian_components(STATUS))
    assert [one["name"] for one in found] == ["zfsutils-linux", "libstdc++6"]
    assert [one["version"] for one in found] == ["2.3.2-2~bpo12+2", "1:12.2"]


def test_package_urls_are_escaped() -> None:
    assert [one["purl"] for one in debian_components(STATUS)] == [
        "pkg:deb/debian/zfsutils-linux@2.3.2-2~bpo12%2B2?arch=amd64&distro=debian-12",
        "pkg:deb/debian/libstdc%2B%2B6@1%3A12.2?arch=amd64&distro=debian-12",
    ]


def test_wheels_have_their_normal_names_and_licences(site_packages: Path) -> None:
    found = {one["name"]: one for one in python_components(distributions([site_packages]))}
    assert sorted(found) == ["csi-zfs", "pyyaml"]
    assert found["pyyaml"]["licenses"] == [{"license": {"name": "MIT"}}]
    assert (found["csi-zfs"]["type"], found["pyyaml"]["type"]) == ("application", "library")


def test_bill_is_about_the_project_and_lists_the_rest_once() -> None:
    made = bill([OTHER, PROJECT, OTHER])
    assert made["metadata"]["component"]["name"] == "csi-zfs"
    assert [one["name"] for one in made["components"]] == ["blake3"]


def test_bill_does_not_depend_on_the_order_and_names_its_contents() -> None:
    assert bill([OTHER, PROJECT]) == bill([PROJECT, OTHER])
    assert bill([PROJECT])["serialNumber"] != bill([OTHER, PROJECT])["serialNumber"]


def test_bill_without_the_project_is_refused() -> None:
    with pytest.raises(LookupError, match="csi-zfs itself"):
        bill([OTHER])


def test_program_prints_the_bill_of_an_image(
    site_packages: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    status = tmp_path / "status"
    status.write_text(STATUS)
    monkeypatch.setattr(sys, "argv", ["sbom.py", str(status), str(site_packages)])
    runpy.run_path(str(Path(__file__).parents[3] / "tools/sbom.py"), run_name="__main__")
    printed = json.loads(capsys.readouterr().out)
    assert (printed["bomFormat"], printed["specVersion"]) == ("CycloneDX", "1.6")
    assert [one["name"] for one in printed["components"]] == [
        "libstdc++6",
        "zfsutils-linux",
        "pyyaml",
    ]
