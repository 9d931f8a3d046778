"""What runs in the image, and as whom."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from csi_zfs.system.runner import _ENVIRONMENT
from e2e.image.container import NOBODY_OF_OURS, Container
from e2e.vm.tree import tree_files

CHECKOUT = Path(__file__).parents[2]
ROOT = 0
MIB = 1 << 20
# Of OpenZFS; the others are those that the README names.
OPENZFS_PROGRAMS = ("zfs", "zpool")

_MODULES = """
import csi_zfs, importlib, json, pkgutil
found = [module.name for module in pkgutil.walk_packages(csi_zfs.__path__, "csi_zfs.")]
for name in found:
    if not name.endswith("__main__"):
        importlib.import_module(name)
print(json.dumps(found))
"""
_FOUND = """
import json, shutil
print(json.dumps({{name: shutil.which(name, path={path!r}) for name in {names!r}}}))
"""
_MADE = """
import os, subprocess
open("/tmp/disk", "w").truncate({size})
subprocess.run({argv!r}, check=True)
"""


def programs() -> list[str]:
    words = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    named = re.search(r"Programs: ([^()]+)\(", words)
    assert named is not None
    return [*(name.strip() for name in named[1].split(",")), *OPENZFS_PROGRAMS]


def where(container: Container) -> dict[str, str | None]:
    code = _FOUND.format(path=_ENVIRONMENT["PATH"], names=programs())
    found: dict[str, str | None] = json.loads(container.python(code))
    return found


@pytest.mark.parametrize("user", [ROOT, NOBODY_OF_OURS, 4_000_000_000])
def test_command_says_its_version_to_any_user(container: Container, user: int) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert container.output("csi-zfs", "version", user=user).strip() == project["version"]


@pytest.mark.parametrize(("role", "user"), [("node", ROOT), ("controller", NOBODY_OF_OURS)])
def test_each_role_comes_as_far_as_its_settings(container: Container, role: str, user: int) -> None:
    done = container.run("csi-zfs", role, "--config", "/etc/csi-zfs/config.toml", user=user)
    assert (done.returncode, "config.toml" in done.stderr) == (2, True)


def test_every_module_of_the_driver_is_importable(container: Container) -> None:
    sources = [Path(name) for name in tree_files(CHECKOUT) if re.fullmatch(r"csi_zfs/.*\.py", name)]
    names = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in sources}
    assert {"csi_zfs", *json.loads(container.python(_MODULES))} == names


def test_libzfs_core_is_there(container: Container) -> None:
    container.python("from libzfs_core.bindings import libzfs_core; libzfs_core.lib")


def test_python_sees_nothing_else_of_the_system(container: Container) -> None:
    assert container.python("import sys; print(*sys.path[1:])").split() == [
        "/usr/lib/python311.zip",
        "/usr/lib/python3.11",
        "/usr/lib/python3.11/lib-dynload",
        "/opt/csi-zfs/lib/python3.11/site-packages",
        "/opt/csi-zfs/openzfs",
    ]


def test_every_program_that_the_driver_starts_is_found(container: Container) -> None:
    missing = [name for name, path in where(container).items() if path is None]
    assert missing == []


def test_every_library_of_these_programs_is_found(container: Container) -> None:
    loader = next(path for path in container.root.glob("usr/lib*/ld-linux*.so.*"))
    for path in filter(None, where(container).values()):
        listed = container.output(f"/{loader.relative_to(container.root)}", "--list", path)
        assert "not found" not in listed


@pytest.mark.parametrize(
    ("size_mib", "argv"),
    [(64, ["mkfs.ext4", "-q", "/tmp/disk"]), (512, ["mkfs.xfs", "-q", "/tmp/disk"])],
    ids=["ext4", "xfs"],
)
def test_file_system_is_made(container: Container, size_mib: int, argv: list[str]) -> None:
    container.python(_MADE.format(size=size_mib * MIB, argv=argv), user=ROOT)


def test_there_is_no_way_to_install_or_to_compile(container: Container) -> None:
    names = ["apt", "apt-get", "bash", "cc", "gcc", "perl", "pip", "pip3"]
    code = f"import shutil; print([name for name in {names!r} if shutil.which(name)])"
    assert container.python(code).strip() == "[]"
    assert container.run("/opt/csi-zfs/bin/python", "-m", "pip").returncode != 0
