"""What `make sanity` prints about a run."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from tests.sanity.report import Lack, Outcome, Spec, explain


def summary(name: str, specs: Sequence[Spec], took_s: float) -> str:
    """One line about a run."""
    counts = Counter(spec.outcome for spec in specs)
    words = ", ".join(f"{counts[outcome]:3} {outcome}" for outcome in Outcome)
    return f"{name:14} {len(specs)} specs: {words}  ({took_s:.1f} s)"


def skipped(specs: Sequence[Spec], table: Sequence[Lack]) -> Iterator[str]:
    """Each reason, with every spec that was skipped for it and its message."""
    by_reason: dict[str, list[Spec]] = {}
    for spec in specs:
        if spec.outcome is Outcome.SKIPPED:
            by_reason.setdefault(_reason(explain(spec, table)), []).append(spec)
    for reason, lacking in by_reason.items():
        yield f"skipped {len(lacking)}: {reason}"
        yield from (f"    {spec.name} ({spec.message})" for spec in lacking)


def skipped_in(runs: Mapping[str, Sequence[Spec]], table: Sequence[Lack]) -> Iterator[str]:
    """What was skipped in each run; what is the same in several is said once."""
    runs_by_lines: dict[tuple[str, ...], list[str]] = {}
    for name, specs in runs.items():
        runs_by_lines.setdefault(tuple(skipped(specs, table)), []).append(name)
    for lines, names in runs_by_lines.items():
        yield from [f"not run ({', '.join(names)}):", *lines] if lines else []


def _reason(lack: Lack | None) -> str:
    if lack is None:
        return "for no reason that tests/sanity/skips.py has"
    return f"the driver lacks {lack.capability}: {lack.why}" if lack.capability else lack.why


def failed(specs: Sequence[Spec]) -> Iterator[str]:
    """Each spec that failed, with what csi-sanity says about it."""
    for spec in specs:
        if spec.outcome is Outcome.FAILED:
            yield f"FAILED {spec.name}"
            yield from (f"    {line}" for line in spec.message.splitlines())
