"""What is in the image, what is not, and whether its lists are true."""

import json
import os
import re
import subprocess
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from e2e.image import recipe
from e2e.image.archive import Archive, Entry, differences
from e2e.image.build import BuiltImage, ensure_built, image_cache
from e2e.image.container import Container
from e2e.image.context import staged
from e2e.vm.apt import load_sources
from tests.support.leftovers import remove_files

CHECKOUT = Path(__file__).parents[2]
LIMIT_BYTES = 250_000_000
SETUID_OR_SETGID = 0o6000
UNCHECKED_HASH = 0b01
OPENZFS = ("libzfs6linux", "python3-pyzfs", "zfsutils-linux")

_WHEELS = """
import importlib.metadata as metadata, json
found = metadata.distributions(path=["/opt/csi-zfs/lib/python3.11/site-packages"])
print(json.dumps({one.metadata["Name"]: one.version for one in found}))
"""


def components(image: BuiltImage, kind: str) -> dict[str, str]:
    bill = json.loads(image.sbom.read_text(encoding="utf-8"))
    listed = [bill["metadata"]["component"], *bill["components"]]
    return {one["name"]: one["version"] for one in listed if one["purl"].startswith(f"pkg:{kind}/")}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(container: Container) -> dict[str, dict[str, str]]:
    """The paragraphs of dpkg's list."""
    status = (container.root / "var/lib/dpkg/status").read_text(encoding="utf-8")
    found = (dict(re.findall(r"(?m)^([A-Za-z-]+): (.*)$", text)) for text in status.split("\n\n"))
    return {fields["Package"]: fields for fields in found if fields}


def names_in(relation: str) -> Iterator[list[str]]:
    """The alternatives of each part of a relation of packages, without versions."""
    for part in filter(None, (text.strip() for text in relation.split(","))):
        yield [re.split(r"[ :(]", name.strip())[0] for name in part.split("|")]


def lent_words() -> set[str]:
    """What this machine's apt, pip and checkout would leave: hosts and paths."""
    pip = subprocess.run(
        [CHECKOUT / ".venv/bin/python", "-m", "pip", "config", "list"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    urls = re.findall(r"https?://[^\s'\"]+", pip) + [source.uri for source in load_sources()]
    hosts = {urlsplit(url).netloc.rpartition("@")[2] for url in urls}
    return {*hosts, *urls, str(CHECKOUT), str(image_cache(os.environ))} - {""}


def test_image_is_small_enough(archive: Archive) -> None:
    assert archive.size_bytes() <= LIMIT_BYTES


def test_image_starts_the_driver_and_says_what_it_is(archive: Archive) -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    config = archive.configuration()["config"]
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert config["Entrypoint"] == ["/opt/csi-zfs/bin/csi-zfs"]
    assert labels == {
        "title": project["name"],
        "description": project["description"],
        "licenses": project["license"],
        "version": project["version"],
    }


def test_only_the_last_layer_is_the_driver(archive: Archive) -> None:
    """So that a node which has the image of one release fetches only the last layer of the next."""
    layers = [{name for name in names if "csi_zfs" in name} for names in archive.names_of_layers()]
    assert [bool(names) for names in layers] == [False, False, True]


def test_no_program_gives_rights_away(entries: dict[str, Entry]) -> None:
    directories = tarfile.DIRTYPE
    found = [
        path
        for path, entry in entries.items()
        if entry.mode & SETUID_OR_SETGID and entry.kind != directories
    ]
    assert found == []


def test_nothing_of_the_build_is_left(entries: dict[str, Entry]) -> None:
    traces = ("etc/apt", "etc/hostid", "etc/machine-id", "etc/pip.conf", "etc/resolv.conf", "mnt/")
    caches = ("build/", "root/", "run/", "tmp/", "var/cache/", "var/lib/apt", "var/log/")
    assert [
        path
        for path in entries
        if f"{path}/".startswith((*traces, *caches)) and entries[path].kind != tarfile.DIRTYPE
    ] == []


def test_all_files_have_one_time(archive: Archive, entries: dict[str, Entry]) -> None:
    assert {entry.time_s for entry in entries.values()} == {recipe.DEFAULT_EPOCH_S}
    made = datetime.fromtimestamp(recipe.DEFAULT_EPOCH_S, tz=UTC)
    assert datetime.fromisoformat(archive.configuration()["created"]) == made


def test_no_file_names_this_machine(container: Container) -> None:
    words = [word.encode() for word in lent_words()]
    found = [
        path
        for path in container.root.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != "copyright"
        if any(word in path.read_bytes() for word in words)
    ]
    assert found == []


def test_bill_of_materials_in_the_image_is_the_one_beside_it(
    image: BuiltImage, container: Container
) -> None:
    inside = container.root / "usr/share/csi-zfs/sbom.cdx.json"
    assert inside.read_bytes() == image.sbom.read_bytes()


def test_bill_of_materials_lists_every_package_of_debian(
    image: BuiltImage, container: Container
) -> None:
    versions = {name: fields["Version"] for name, fields in installed(container).items()}
    assert components(image, "deb") == versions


def test_openzfs_is_the_series_that_the_driver_serves(image: BuiltImage) -> None:
    versions = components(image, "deb")
    assert [versions[name].startswith("2.3.") for name in OPENZFS] == [True] * len(OPENZFS)


def test_bill_of_materials_lists_every_wheel_of_the_lock(
    image: BuiltImage, container: Container
) -> None:
    found = {
        normal(name): version for name, version in json.loads(container.python(_WHEELS)).items()
    }
    lock = (CHECKOUT / "requirements/run.lock").read_text(encoding="utf-8")
    locked = {normal(name): version for name, version in re.findall(r"(?m)^([\w.-]+)==(\S+)", lock)}
    assert components(image, "pypi") == found
    assert found == locked | {"csi-zfs": components(image, "pypi")["csi-zfs"]}


def test_packages_have_what_they_depend_on(container: Container) -> None:
    packages = installed(container)
    provided = {
        name
        for fields in packages.values()
        for names in names_in(fields.get("Provides", ""))
        for name in names
    }
    for name, fields in packages.items():
        for relation in ("Depends", "Pre-Depends"):
            for names in names_in(fields.get(relation, "")):
                assert set(names) & (packages.keys() | provided), f"{name} needs {names}"


def test_python_files_are_compiled_and_stay_valid(container: Container) -> None:
    """The root is read-only: what is not compiled would be compiled anew at every start."""
    stale = [
        path
        for directory in ("opt/csi-zfs/lib", "usr/lib/python3", "usr/lib/python3.11")
        for path in (container.root / directory).rglob("*.py")
        if not is_compiled(path)
    ]
    assert stale == []


def is_compiled(source: Path) -> bool:
    compiled = source.parent / "__pycache__" / f"{source.stem}.cpython-311.pyc"
    return compiled.exists() and compiled.read_bytes()[4:8] == bytes([UNCHECKED_HASH, 0, 0, 0])


@pytest.mark.deep
@pytest.mark.timeout(3600)
def test_two_builds_from_nothing_are_the_same_image() -> None:
    """From nothing: with a base image, wheels and layers of their own."""
    caches = [Path(tempfile.mkdtemp(prefix="csi-zfs-image-", dir="/var/tmp")) for _ in range(2)]
    try:
        with staged(CHECKOUT) as context:
            one, other = (ensure_built(context, cache).archive for cache in caches)
        assert differences(one, other) == []
        assert one.digest == other.digest
    finally:
        for cache in caches:
            remove_files(cache)
