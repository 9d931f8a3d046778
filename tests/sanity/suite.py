"""Runs csi-sanity against a socket."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.domain.sizes import GIB, MIB
from csi_zfs.services.keys import KEY_FIELD
from tests.sanity.report import Spec, parse_report

# In every call that can carry secrets: nowhere else may it ever be seen (rules.md C4).
CANARY = "canary-6f1d-secret-as-long-as-a-key"
_LIMIT_S = 600
_SECRETS = (
    "CreateVolumeSecret",
    "DeleteVolumeSecret",
    "ControllerValidateVolumeCapabilitiesSecret",
    "NodeStageVolumeSecret",
    "NodePublishVolumeSecret",
    "CreateSnapshotSecret",
    "DeleteSnapshotSecret",
    "ControllerExpandVolumeSecret",
    "ControllerModifyVolumeSecret",
    "ListSnapshotsSecret",
    "GetSnapshotSecret",
)


class NoReportError(Exception):
    """csi-sanity ended without a report; the text holds what it printed."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to run the suite."""

    name: str
    access_type: str
    size_bytes: int = GIB
    parameters: Mapping[str, str] = field(default_factory=dict)
    mutable_parameters: Mapping[str, str] = field(default_factory=dict)


VARIANTS = (
    Variant("mount", "mount"),
    Variant("block", "block"),
    # Thick snapshots and clones count at full size, so the volumes must be small.
    Variant("thick", "mount", size_bytes=64 * MIB, parameters={"provisioning": "thick"}),
)
# The controller's calls go to the router of a cluster, and from there to the node.
ROUTED = Variant("routed", "mount")
ENCRYPTED = Variant("encrypted", "mount", parameters={"encryption": "on"})


@dataclass(frozen=True, slots=True)
class Suite:
    """csi-sanity, ready to run.

    Attributes:
        binary: the program.
        socket: where the driver serves.
        kubelet_dir: where it may mount.
        directory: where reports and parameters are put.
        more: further arguments.
        controller_socket: where the controller is served, if not at `socket`.
    """

    binary: Path
    socket: Path
    kubelet_dir: Path
    directory: Path
    more: tuple[str, ...] = ()
    controller_socket: Path | None = None

    def run(self, variant: Variant) -> list[Spec]:
        """Run all specs, and say how each ended; raises `NoReportError`."""
        report = self.directory / "junit.xml"
        report.unlink(missing_ok=True)
        done = subprocess.run(
            [str(self.binary), *self._arguments(variant, report), *self.more],
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=_LIMIT_S,
        )
        if not report.exists():
            raise NoReportError(f"csi-sanity ended with {done.returncode}: {done.stdout[-4000:]}")
        return parse_report(report.read_bytes())

    def _arguments(self, variant: Variant, report: Path) -> list[str]:
        secrets = {name: {"key": CANARY, KEY_FIELD: CANARY} for name in _SECRETS}
        return [
            f"--csi.endpoint=unix://{self.socket}",
            f"--csi.controllerendpoint=unix://{self.controller_socket or self.socket}",
            f"--csi.mountdir={self.kubelet_dir / 'sanity-target'}",
            f"--csi.stagingdir={self.kubelet_dir / 'sanity-staging'}",
            f"--csi.testvolumeaccesstype={variant.access_type}",
            f"--csi.testvolumesize={variant.size_bytes}",
            f"--csi.testvolumeexpandsize={2 * variant.size_bytes}",
            f"--csi.secrets={self._document('secrets', secrets)}",
            f"--csi.testvolumeparameters={self._document('parameters', variant.parameters)}",
            "--csi.testvolumemutableparameters="
            + self._document("mutable-parameters", variant.mutable_parameters),
            f"--ginkgo.junit-report={report}",
            "--ginkgo.no-color",
            "--ginkgo.seed=1",
        ]

    def _document(self, name: str, content: Mapping[str, object]) -> str:
        path = self.directory / f"{name}.yaml"
        path.write_text(json.dumps(dict(content)))  # JSON is YAML too
        return str(path)
