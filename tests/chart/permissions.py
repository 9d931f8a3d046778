"""All that the chart's service accounts may do, and why: makes docs/reference/permissions.md.

A rule that is not here fails the tests, and so does one here that the chart has not.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.chart.helm import Manifest, Rendered

READ = ("get", "list", "watch")
_PROVISIONER, _SNAPSHOTTER, _RESIZER = "provisioner", "snapshotter", "resizer"
_ROUTER, _CHECK = "controller", "uninstall-check"
_EVENTS = "says in an event what went wrong with a claim, or that it is done"


@dataclass(frozen=True, slots=True)
class Grant:
    """Verbs on one resource.

    Attributes:
        role: the name of the role, without that of the release.
        resource: as `resource.group`, the plain name where the group has none.
        verbs: what may be done.
        why: for what it is needed.
        is_namespaced: whether it holds in the release's own namespace only.
        names: the only objects for which it holds; all of them where there are none.
    """

    role: str
    resource: str
    verbs: tuple[str, ...]
    why: str
    is_namespaced: bool = False
    names: tuple[str, ...] = ()

    @property
    def rule(self) -> tuple[str, str, tuple[str, ...], bool, tuple[str, ...]]:
        """All but the reason."""
        return self.role, self.resource, self.verbs, self.is_namespaced, self.names


_SNAPSHOT, _GROUP = "snapshot.storage.k8s.io", "groupsnapshot.storage.k8s.io"
_LEASES = ("csi-zfs-io", "external-snapshotter-leader-csi-zfs-io", "external-resizer-csi-zfs-io")

GRANTS = (
    Grant(
        _PROVISIONER,
        "persistentvolumes",
        (*READ, "create", "patch", "delete"),
        "makes one for each volume, holds it by a finalizer until the volume is deleted",
    ),
    Grant(
        _PROVISIONER,
        "persistentvolumeclaims",
        (*READ, "update"),
        "finds what to provision; gives the claim back to the scheduler when its node is full;"
        " protects the source of a clone by a finalizer",
    ),
    Grant(_PROVISIONER, "nodes", READ, "reads the node's topology label"),
    Grant(_PROVISIONER, "events", ("create", "patch"), _EVENTS),
    Grant(_PROVISIONER, "storageclasses.storage.k8s.io", READ, "reads the class of a claim"),
    Grant(_PROVISIONER, "csinodes.storage.k8s.io", READ, "learns which nodes have the driver"),
    Grant(
        _PROVISIONER,
        "volumeattributesclasses.storage.k8s.io",
        ("get",),
        "reads the class of properties that a new claim names",
    ),
    Grant(
        _PROVISIONER,
        f"volumesnapshots.{_SNAPSHOT}",
        (*READ, "update"),
        "restores from it; keeps it by a finalizer meanwhile",
    ),
    Grant(
        _PROVISIONER,
        f"volumesnapshotcontents.{_SNAPSHOT}",
        ("get", "list"),
        "reads the id of the snapshot that is restored",
    ),
    Grant(_SNAPSHOTTER, "events", ("create", "patch"), _EVENTS),
    Grant(_SNAPSHOTTER, f"volumesnapshotclasses.{_SNAPSHOT}", READ, "reads the class"),
    Grant(
        _SNAPSHOTTER,
        f"volumesnapshotcontents.{_SNAPSHOT}",
        (*READ, "update", "patch"),
        "finds what to snapshot or delete, and holds it by finalizer and annotations",
    ),
    Grant(
        _SNAPSHOTTER,
        f"volumesnapshotcontents/status.{_SNAPSHOT}",
        ("update", "patch"),
        "writes the id, size and time of a snapshot",
    ),
    Grant(_SNAPSHOTTER, f"volumegroupsnapshotclasses.{_GROUP}", READ, "reads the class"),
    Grant(
        _SNAPSHOTTER,
        f"volumegroupsnapshotcontents.{_GROUP}",
        (*READ, "update", "patch"),
        "the same for groups",
    ),
    Grant(
        _SNAPSHOTTER,
        f"volumegroupsnapshotcontents/status.{_GROUP}",
        ("update", "patch"),
        "the same for groups",
    ),
    Grant(
        _RESIZER,
        "persistentvolumes",
        (*READ, "patch"),
        "writes the new size, or the new class of properties",
    ),
    Grant(_RESIZER, "persistentvolumeclaims", READ, "finds claims that want to grow or change"),
    Grant(_RESIZER, "persistentvolumeclaims/status", ("patch",), "says how far that is"),
    Grant(_RESIZER, "events", ("create", "patch"), _EVENTS),
    Grant(
        _RESIZER,
        "volumeattributesclasses.storage.k8s.io",
        READ,
        "reads the properties that a claim asks for",
    ),
    Grant(
        _ROUTER,
        "leases.coordination.k8s.io",
        ("create",),
        "the sidecars choose their leader; a creation cannot be bound to a name",
        is_namespaced=True,
    ),
    Grant(
        _ROUTER,
        "leases.coordination.k8s.io",
        ("get", "update"),
        "the sidecars choose their leader, by one lease each",
        is_namespaced=True,
        names=_LEASES,
    ),
    Grant(
        _ROUTER,
        "csistoragecapacities.storage.k8s.io",
        (*READ, "create", "update", "patch", "delete"),
        "the provisioner tells the scheduler how much room each node has",
        is_namespaced=True,
    ),
    Grant(
        _ROUTER,
        "pods",
        ("get",),
        "the provisioner finds the Deployment that owns what it tells, so that it goes with it",
        is_namespaced=True,
    ),
    Grant(_ROUTER, "replicasets.apps", ("get",), "the same", is_namespaced=True),
    Grant(
        _ROUTER,
        "endpointslices.discovery.k8s.io",
        ("list", "watch"),
        "the router finds the nodes' drivers",
        is_namespaced=True,
    ),
    Grant(
        _ROUTER,
        "configmaps",
        ("get", "patch"),
        "the router reads which pools are gone for good; `csi-zfs forget` in its pod adds one",
        is_namespaced=True,
        names=("csi-zfs-forgotten",),
    ),
    Grant(_CHECK, "persistentvolumes", ("list",), "looks for volumes before an uninstallation"),
    Grant(
        _CHECK,
        f"volumesnapshotcontents.{_SNAPSHOT}",
        ("list",),
        "looks for snapshots before an uninstallation",
    ),
)


def granted(rendered: Rendered, release: str) -> Iterator[Grant]:
    """What the roles of a render grant, one resource at a time, without reasons."""
    for role in (*rendered.of("ClusterRole"), *rendered.of("Role")):
        name = role["metadata"]["name"].removeprefix(f"{release}-")
        for rule in role["rules"]:
            yield from _of_rule(rule, name, is_namespaced=role["kind"] == "Role")


def _of_rule(rule: Manifest, role: str, *, is_namespaced: bool) -> Iterator[Grant]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            yield Grant(
                role,
                f"{resource}.{group}" if group else resource,
                tuple(rule["verbs"]),
                why="",
                is_namespaced=is_namespaced,
                names=tuple(rule.get("resourceNames", ())),
            )


def rows(grants: Iterable[Grant]) -> list[tuple[str, str, str, str, str]]:
    """The rows of the table in the documentation."""
    return [
        (
            grant.role,
            f"`{grant.resource}`",
            ", ".join(grant.verbs),
            _where(grant),
            grant.why,
        )
        for grant in grants
    ]


def _where(grant: Grant) -> str:
    if grant.names:
        return "only " + ", ".join(f"`{name}`" for name in grant.names)
    return "its own namespace" if grant.is_namespaced else "cluster"
