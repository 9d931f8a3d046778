"""Retention: which manifests of a series stay.  A pure function of their times."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from csi_zfs.cas.api import Manifest
from csi_zfs.domain.errors import InvalidRequestError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_S = 1_000_000_000
# Monday, 5 January 1970: weeks are counted from a Monday, as ISO 8601 has them.
_FIRST_MONDAY = datetime(1970, 1, 5, tzinfo=UTC)

_Period = Callable[[datetime], object]
_PERIODS: Mapping[str, _Period] = {
    "hourly": lambda time: (time.date(), time.hour),
    "daily": lambda time: time.date(),
    "weekly": lambda time: (time - _FIRST_MONDAY) // timedelta(weeks=1),
    "monthly": lambda time: (time.year, time.month),
}


class NothingKeptError(InvalidRequestError):
    """A policy that says of nothing that it stays is a mistake."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How many stay: the last ones, and the last one of each hour, day, week or month.

    Hours and days are those of UTC, weeks begin on Monday.  Only periods that have a manifest
    count.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0

    def __post_init__(self) -> None:
        """Raise `NothingKeptError`."""
        counts = (self.last, self.hourly, self.daily, self.weekly, self.monthly)
        if min(counts) < 0 or not any(counts):
            raise NothingKeptError(
                "say how many to keep: at least one of --keep-last, --keep-hourly, --keep-daily,"
                " --keep-weekly, --keep-monthly"
            )


def kept(manifests: Iterable[Manifest], policy: Policy) -> dict[str, list[str]]:
    """Why each manifest that stays does, by its id; what is not in it may go.

    The newest always stays.  Of two of the same time the one with the higher id counts as newer.
    """
    newest_first = sorted(
        manifests, key=lambda one: (one.created_ns, one.manifest_id), reverse=True
    )
    reasons: dict[str, list[str]] = defaultdict(list)
    for manifest in newest_first[: max(policy.last, 1)]:
        reasons[manifest.manifest_id].append("last" if policy.last else "newest")
    counts = {
        "hourly": policy.hourly,
        "daily": policy.daily,
        "weekly": policy.weekly,
        "monthly": policy.monthly,
    }
    for name, count in counts.items():
        for manifest in _newest_of_each(newest_first, _PERIODS[name])[:count]:
            reasons[manifest.manifest_id].append(name)
    return dict(reasons)


def by_label(manifests: Iterable[Manifest], label: str) -> dict[str, list[Manifest]]:
    """The manifests in series, by the value of a label; those without it are a series too."""
    series: dict[str, list[Manifest]] = defaultdict(list)
    for manifest in manifests:
        series[manifest.root.labels.get(label, "")].append(manifest)
    return dict(series)


def _newest_of_each(newest_first: Sequence[Manifest], period: _Period) -> list[Manifest]:
    newest: dict[object, Manifest] = {}
    for manifest in newest_first:
        newest.setdefault(period(_time_of(manifest)), manifest)
    return list(newest.values())


def _time_of(manifest: Manifest) -> datetime:
    return _EPOCH + timedelta(seconds=manifest.created_ns // _NS_PER_S)
