"""What the harness takes from the chart: the names by which it asks for the sidecars' images."""

from pathlib import Path
from typing import Any

import yaml

from e2e.cluster.errors import CannotBuildError
from e2e.cluster.versions import Program

CHART = Path("charts") / "csi-zfs"


def load_values(checkout: Path) -> dict[str, Any]:
    """The values that the chart has for who gives none."""
    text = (checkout / CHART / "values.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = yaml.safe_load(text)
    return values


def sidecar_images(values: dict[str, Any], sidecars: tuple[Program, ...]) -> dict[str, Program]:
    """The programs by the names of their images in the chart.

    Raises:
        CannotBuildError: the chart has another version of one.
    """
    images = [sidecar["image"] for sidecar in values["sidecars"].values()]
    by_name = {image["repository"].rpartition("/")[2]: image for image in images}
    found = {}
    for program in sidecars:
        image = by_name[program.name]
        if image["tag"] != program.module.version:
            raise CannotBuildError(
                f"the chart has {program.name} {image['tag']}, and e2e/cluster/versions.py"
                f" {program.module.version}"
            )
        found[f"{image['repository']}:{image['tag']}"] = program
    return found
