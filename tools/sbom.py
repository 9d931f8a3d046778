"""Writes the bill of materials of an image: CycloneDX 1.6, as JSON, on standard output.

usage: sbom.py DPKG_STATUS DIRECTORY...

DPKG_STATUS is the list of the packages of Debian in the image; below the directories are the
installed packages of Python.  It runs while the image is built, so it knows the standard library
only; and it says neither when nor where, so that equal images have equal bills.
"""

import hashlib
import json
import re
import sys
import uuid
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

Component: TypeAlias = dict[str, Any]

PROJECT = "csi-zfs"
_DISTRO = "debian-12"


def main(arguments: list[str]) -> None:
    """Write the bill of the image that the arguments describe."""
    status, *directories = map(Path, arguments)
    packages = debian_components(status.read_text(encoding="utf-8"))
    wheels = python_components(distributions(directories))
    print(json.dumps(bill([*packages, *wheels]), indent=1, sort_keys=True))


def debian_components(status: str) -> Iterator[Component]:
    """The packages that dpkg's status file says are installed."""
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"(?m)^([A-Za-z-]+): (.*)$", paragraph))
        if fields.get("Status", "").endswith(" installed"):
            name, version, architecture = (
                fields[key] for key in ("Package", "Version", "Architecture")
            )
            where = f"arch={architecture}&distro={_DISTRO}"
            purl = f"pkg:deb/debian/{quote(name)}@{quote(version, safe='')}?{where}"
            yield {"type": "library", "name": name, "version": version, "purl": purl}


def distributions(directories: Iterable[Path]) -> list[Distribution]:
    """The packages of Python that are installed below these directories."""
    found = [path for directory in directories for path in directory.rglob("*.dist-info")]
    return [PathDistribution(path) for path in sorted(found, key=lambda path: path.name)]


def python_components(found: Iterable[Distribution]) -> Iterator[Component]:
    """A component for each package of Python."""
    for distribution in found:
        name = re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()
        version = distribution.version
        purl = f"pkg:pypi/{quote(name)}@{quote(version, safe='')}"
        kind = "application" if name == PROJECT else "library"
        component: Component = {"type": kind, "name": name, "version": version, "purl": purl}
        if expression := _licence(distribution):
            component["licenses"] = [{"license": {"name": expression}}]
        yield component


def bill(components: Iterable[Component]) -> Component:
    """The document: the project is what it is about, the rest is what is in it.

    Raises:
        LookupError: the project is not among the components.
    """
    known = {one["purl"]: one | {"bom-ref": one["purl"]} for one in components}
    ordered = [known[purl] for purl in sorted(known)]
    about = next((one for one in ordered if one["name"] == PROJECT), None)
    if about is None:
        raise LookupError(f"{PROJECT} itself is not in the image")
    digest = hashlib.sha256(json.dumps(ordered, sort_keys=True).encode()).digest()
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": uuid.UUID(bytes=digest[:16], version=4).urn,
        "version": 1,
        "metadata": {"component": about},
        "components": [one for one in ordered if one is not about],
    }


def _licence(distribution: Distribution) -> str:
    for field in ("License-Expression", "License"):
        if named := distribution.metadata.get_all(field):
            return str(named[0]).strip().partition("\n")[0]
    return ""


if __name__ == "__main__":
    main(sys.argv[1:])
