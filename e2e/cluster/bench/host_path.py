"""What csi-driver-host-path did on such a cluster, which was measured once: nothing is run here."""

from tests.bench.figures import Figure, Target

VERSION = "1.18"
CLAIMS = 50
CLAIMS_BOUND_S = 25.0
SNAPSHOTS = 10
SNAPSHOTS_READY_S = 16.0
_HALF = Target(0.5)


def beside(what: str, seconds: float, host_path_s: float) -> Figure:
    """Seconds that the driver took, beside those of host-path."""
    measured, theirs = f"{seconds:.1f} s", f"host-path {host_path_s:g} s"
    return Figure(what, measured, theirs, seconds / host_path_s, _HALF)
