"""`python -m e2e.cluster.conformance`: Kubernetes' own External Storage suite against the driver.

On the running cluster, with the chart as users install it; writes docs/conformance.md from the
suite's own report.
"""

import argparse
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster.assets import cluster_cache, ensure_assets
from e2e.cluster.cluster import Cluster, find_cluster
from e2e.cluster.kubectl import client_environment
from e2e.cluster.layout import Layout, state_directory
from e2e.cluster.suite_images import ensure_suite_images
from e2e.cluster.tests.release import installed
from e2e.cluster.tests.volumes import DRIVER_NAME, SNAPSHOT_CLASS, STORAGE_CLASS
from e2e.cluster.versions import CONFORMANCE, KUBERNETES, PROGRAMS
from e2e.vm.progress import say

CHECKOUT = Path(__file__).parents[2]
PAGE = CHECKOUT / "docs" / "conformance.md"
_RESULTS = CHECKOUT / "build" / "e2e-cluster" / "conformance"
_LIMIT_S = 3600
# The specs of group snapshots give their class the parameter `deletionPolicy`, which is none.
_SKIPPED_KINDS = r"\[(Slow|Disruptive|Serial)\]|Windows|ntfs|volumegroupsnapshottable"
_FOCUS = "External.Storage.*"
# A mounted ext4 grows only where root has CAP_SYS_RESOURCE, and not every machine gives it that.
_CLASSES = '--set-json=storageClasses=[{"name": "csi-zfs", "fsType": "xfs"}]'
# What the suite is told of the driver; the rest it finds out or leaves out.
TEST_DRIVER: Mapping[str, object] = {
    "StorageClass": {"FromExistingClassName": STORAGE_CLASS},
    "SnapshotClass": {"FromExistingClassName": SNAPSHOT_CLASS},
    "GroupSnapshotClass": {"FromExistingClassName": SNAPSHOT_CLASS},
    "InlineVolumes": [{"Attributes": {"size": "64Mi"}, "Shared": False, "ReadOnly": False}],
    "DriverInfo": {
        "Name": DRIVER_NAME,
        # An XFS has at least 300 MiB.
        "SupportedSizeRange": {"Min": "320Mi", "Max": "2Gi"},
        "SupportedFsType": {"": {}, "ext4": {}, "xfs": {}},
        "SupportedMountOption": {"noatime": {}},
        "TopologyKeys": [f"topology.{DRIVER_NAME}/node"],
        "Capabilities": {
            "persistence": True,
            "block": True,
            "fsGroup": True,
            "exec": True,
            "multipods": True,
            "snapshotDataSource": True,
            "groupSnapshot": True,
            "pvcDataSource": True,
            "controllerExpansion": True,
            "nodeExpansion": True,
            "singleNodeVolume": True,
            "topology": True,
            "capacity": True,
            "readWriteOncePod": True,
        },
    },
}

_PAGE = """\
# Conformance

## Kubernetes' External Storage suite
`e2e.test` of Kubernetes {version}, its specs `External Storage` on a cluster with one node. The
chart is installed without values (embedded pools), but for a class of XFS: a mounted ext4 grows
only where root has CAP_SYS_RESOURCE. Left out are specs marked Slow, Disruptive or Serial, and
those of group snapshots: they give their class a parameter `deletionPolicy`, which the driver
refuses as it does every parameter that it does not know. e2e/cluster/tests/test_pods.py has groups.

```
make cluster NODES=1 ZFS=0
.venv/bin/python -m e2e.cluster.conformance --procs {procs} --write
```

{passed} passed, {failed} failed, {skipped} skipped by the suite itself.

{failures}
| skipped | why, in the suite's words |
| --: | :-- |
{reasons}
The suite is told that volumes are on single nodes, and of every capability that the driver has:
`TEST_DRIVER` in e2e/cluster/conformance.py.

## csi-sanity
`make sanity` runs csi-sanity 5.6.0 on an embedded pool: mount, block, thick, and through the router
of a cluster; `make e2e-zfs` runs it on OpenZFS: mount, block, thick, encrypted. None fails. What is
skipped is printed with its reason, and fails the run if the reason is not in tests/sanity/skips.py.
"""


@dataclass(frozen=True, slots=True)
class Spec:
    """One spec of the suite, and how it ended."""

    name: str
    status: str
    message: str = ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the suite; returns 1 if a spec failed."""
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster.conformance", description=__doc__)
    parser.add_argument("--focus", default=".", help="a part of the specs' names (a regexp)")
    parser.add_argument("--procs", type=int, default=4, help="how many specs run at once")
    parser.add_argument("--write", action="store_true", help="write docs/conformance.md")
    asked = parser.parse_args(arguments)
    cluster = find_cluster(Layout(state_directory(os.environ)))
    if cluster is None:
        print("no cluster is up: `make cluster` starts one", file=sys.stderr)
        return 1
    begin = time.monotonic()
    specs = run_suite(cluster, focus=asked.focus, procs=asked.procs)
    counts = Counter(spec.status for spec in specs)
    say(f"conformance: {dict(counts)} in {time.monotonic() - begin:.0f} s")
    for spec in specs:
        if spec.status == "failed":
            say(f"FAILED {spec.name}: {spec.message[:500]}")
    if asked.write:
        PAGE.write_text(page(specs, procs=asked.procs), encoding="utf-8")
    return int(not counts["passed"] or bool(counts["failed"]))


def run_suite(cluster: Cluster, *, focus: str, procs: int) -> list[Spec]:
    """Build the suite, give the nodes its images, install the driver, and run it."""
    cache = cluster_cache(os.environ)
    assets = ensure_assets(CHECKOUT, cache, (*PROGRAMS, *CONFORMANCE))
    for archive in ensure_suite_images(assets, cache):
        cluster.load_image(archive)
    _RESULTS.mkdir(parents=True, exist_ok=True)
    driver = _RESULTS / "testdriver.json"
    driver.write_text(json.dumps(TEST_DRIVER, indent=1), encoding="utf-8")
    report = _RESULTS / "junit.xml"
    report.unlink(missing_ok=True)
    command = [
        *(str(assets.programs["ginkgo"]), f"--procs={procs}", "--no-color", "--succinct"),
        *("--timeout=1h", f"--output-dir={_RESULTS}", f"--junit-report={report.name}"),
        *(f"--focus={_FOCUS}{focus}", f"--skip={_SKIPPED_KINDS}"),
        *(str(assets.programs["e2e.test"]), "--"),
        *("-kubeconfig", str(cluster.layout.kubeconfig("admin")), "-provider", "skeleton"),
        *("-kubectl-path", cluster.layout.program("kubectl"), "-storage.testdriver", str(driver)),
    ]
    with installed(cluster, _CLASSES), (_RESULTS / "output.log").open("wb") as output:
        subprocess.run(
            command,
            check=False,
            cwd=_RESULTS,
            env=client_environment(cluster.layout),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=_LIMIT_S,
        )
    return parse(report.read_bytes())


def parse(document: bytes) -> list[Spec]:
    """The specs of a report that are of the suite; those that were filtered out are left out."""
    found = []
    for case in ET.fromstring(document).iter("testcase"):
        name, status = case.get("name", ""), case.get("status", "")
        skipped = case.find("skipped")
        message = "" if skipped is None else skipped.get("message", "")
        if "External Storage" not in name or (status == "skipped" and message == "skipped"):
            continue
        fault = next((item for item in case if item.tag in {"failure", "error"}), None)
        if fault is not None:
            message = fault.get("message", "") or fault.text or ""
        found.append(Spec(name, "failed" if fault is not None else status, message))
    return found


def page(specs: Sequence[Spec], *, procs: int) -> str:
    """The page that tells what passed, what failed, and what does not apply."""
    counts = Counter(spec.status for spec in specs)
    skipped = [spec for spec in specs if spec.status == "skipped"]
    reasons = Counter(spec.message.removeprefix("skipped - ") for spec in skipped)
    return _PAGE.format(
        version=KUBERNETES.version,
        procs=procs,
        passed=counts["passed"],
        failed=counts["failed"],
        skipped=counts["skipped"],
        failures="".join(_failed_lines(specs)),
        reasons="".join(
            f"| {count} | {reason or 'no reason given'} |\n"
            for reason, count in reasons.most_common()
        ),
    )


def _failed_lines(specs: Sequence[Spec]) -> list[str]:
    return [
        f"- failed: {spec.name}: {spec.message.splitlines()[0][:300]}\n"
        for spec in specs
        if spec.status == "failed"
    ]


if __name__ == "__main__":
    sys.exit(main())
