"""Runs Helm, and reads what it renders."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.support.go_programs import GoProgram

CHART = Path(__file__).parents[2] / "charts" / "csi-zfs"
VALUES = CHART / "values"
RELEASE = "csi-zfs"
NAMESPACE = "csi-zfs"
HELM = GoProgram("helm.sh/helm/v3/cmd/helm", "v3.22.0")
# A Helm that was not built by its own Makefile takes no version of Kubernetes for granted.
_KUBERNETES = "1.35.0"
_LIMIT_S = 60

SNAPSHOTS = "snapshot.storage.k8s.io/v1/VolumeSnapshotClass"
GROUP_SNAPSHOTS = "groupsnapshot.storage.k8s.io/v1/VolumeGroupSnapshotClass"
ATTRIBUTES = "storage.k8s.io/v1/VolumeAttributesClass"
ALL_APIS = (SNAPSHOTS, GROUP_SNAPSHOTS, ATTRIBUTES)

Manifest = dict[str, Any]


class HelmRefusedError(Exception):
    """Helm ended with an error; the text is what it said."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of Helm.

    Attributes:
        values: files of the chart's folder `values`.
        sets: values by their path, as in `--set`.
        apis: what the cluster has beside Kubernetes' own.
    """

    values: tuple[str, ...] = ()
    sets: tuple[str, ...] = ()
    apis: tuple[str, ...] = ALL_APIS
    release: str = RELEASE

    @property
    def arguments(self) -> list[str]:
        """The arguments of `helm template`."""
        return [
            *("template", self.release, str(CHART), f"--namespace={NAMESPACE}"),
            f"--kube-version={_KUBERNETES}",
            *(f"--values={VALUES / name}.yaml" for name in self.values),
            *(f"--set-json={text}" for text in self.sets),
            *(f"--api-versions={api}" for api in self.apis),
        ]


class Rendered:
    """The objects that a case renders."""

    def __init__(self, objects: Sequence[Manifest]) -> None:
        self.objects = tuple(objects)

    def __iter__(self) -> Iterator[Manifest]:
        return iter(self.objects)

    def of(self, kind: str) -> list[Manifest]:
        """All objects of a kind."""
        return [item for item in self.objects if item["kind"] == kind]

    def one(self, kind: str, name: str) -> Manifest:
        """The one object of this kind and name."""
        (found,) = [item for item in self.of(kind) if item["metadata"]["name"] == name]
        return found

    def names(self, kind: str) -> set[str]:
        """The names of all objects of a kind."""
        return {item["metadata"]["name"] for item in self.of(kind)}

    def pods(self) -> Iterator[tuple[str, Manifest]]:
        """The specification of every pod that there will be, with the name of what makes it."""
        for item in self.objects:
            name = f"{item['kind']}/{item['metadata']['name']}"
            if item["kind"] == "Pod":
                yield name, item["spec"]
            elif item["kind"] in {"DaemonSet", "Deployment", "Job"}:
                yield name, item["spec"]["template"]["spec"]


def container(pod: Manifest, name: str) -> Manifest:
    """The container of a pod that has this name."""
    (found,) = [item for item in pod["containers"] if item["name"] == name]
    return dict(found)


@cache
def render(case: Case) -> Rendered:
    """The objects of a case; raises `HelmRefusedError`."""
    return parse(run_helm(*case.arguments))


def parse(text: str) -> Rendered:
    """The objects of a text of YAML."""
    return Rendered([item for item in yaml.safe_load_all(text) if item])


@cache
def _program() -> Path:
    return HELM.ensure(os.environ)


def run_helm(*arguments: str, environ: Mapping[str, str] | None = None) -> str:
    """What a command of Helm prints; raises `HelmRefusedError`."""
    done = subprocess.run(
        [_program(), *arguments],
        capture_output=True,
        check=False,
        # No cluster of the developer's has a say in it.
        env={"PATH": os.defpath, "HOME": "/nonexistent", "KUBECONFIG": "", **(environ or {})},
        text=True,
        timeout=_LIMIT_S,
    )
    if done.returncode != 0:
        raise HelmRefusedError(done.stderr.strip() + done.stdout.strip())
    return done.stdout
