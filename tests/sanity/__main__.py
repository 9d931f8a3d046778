"""`make sanity`: csi-sanity against the real driver on a real embedded pool."""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tests.sanity import output, skips
from tests.sanity.build import VERSION, CannotBuildError, ensure_binary
from tests.sanity.report import Lack, Spec, faults
from tests.sanity.suite import CANARY, ROUTED, VARIANTS, NoReportError, Suite, Variant
from tests.support.leftovers import find_leftovers, scratch_directory
from tests.support.machine import why_no_root_tier
from tests.support.process import DriverFailedError, RealDriver, real_driver
from tests.support.real_router import Link, real_router


def main() -> int:
    """Run every variant; returns the exit status."""
    if (reason := why_no_root_tier()) is not None:
        return _refuse(f"make sanity {reason}")
    print(f"csi-sanity {VERSION}: making sure that it is built", flush=True)
    try:
        binary = ensure_binary(os.environ)
    except CannotBuildError as exc:
        return _refuse(f"make sanity: {exc}")
    try:
        return _judge(binary)
    except (NoReportError, DriverFailedError) as exc:
        return _refuse("\n".join([str(exc), *getattr(exc, "__notes__", [])]))


def _judge(binary: Path) -> int:
    with (
        scratch_directory("csi-zfs-sanity-") as directory,
        real_driver(directory, settings=(link := Link(directory)).node_settings()) as driver,
    ):
        suite = Suite(binary, driver.paths.socket, driver.paths.kubelet_dir, directory)
        runs = {variant.name: _run(suite, variant) for variant in VARIANTS}
        with real_router(link) as router:
            routed = replace(
                suite,
                controller_socket=router.paths.socket,
                more=(f"--ginkgo.skip={skips.NOT_ON_THIS_NODE}",),
            )
            through = {ROUTED.name: _run(routed, ROUTED)}
        found = _judged(runs, skips.EMBEDDED) + _judged(through, skips.ROUTED)
        found += _end(driver)
    for fault in found:
        print(f"FAULT {fault}")
    print("make sanity: " + (f"{len(found)} faults" if found else "everything is as it has to be"))
    return 1 if found else 0


def _judged(runs: Mapping[str, Sequence[Spec]], table: Sequence[Lack]) -> list[str]:
    print("\n".join(output.skipped_in(runs, table)))
    return [f"{name}: {fault}" for name, specs in runs.items() for fault in faults(specs, table)]


def _run(suite: Suite, variant: Variant) -> list[Spec]:
    begin = time.monotonic()
    specs = suite.run(variant)
    print(output.summary(variant.name, specs, time.monotonic() - begin))
    for line in output.failed(specs):
        print(line)
    sys.stdout.flush()
    return specs


def _end(driver: RealDriver) -> list[str]:
    """Take the driver down in good order, and look for what is left of all the runs."""
    driver.stop()
    status = driver.pool_status()
    driver.export_pool()
    left = find_leftovers(driver.paths.root, driver.paths.kubelet_dir, driver.paths.state_dir)
    print(f"left in the pool: {status['volumes']} volumes, {status['snapshots']} snapshots")
    print(f"left on the machine: {left}")
    found = [f"left on the machine: {left}"] if left else []
    if status["volumes"] or status["snapshots"]:
        found.append("volumes or snapshots are left in the pool")
    if CANARY in driver.paths.log.read_text():
        found.append("a secret is in the driver's log")
    return found


def _refuse(words: str) -> int:
    print(words, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
