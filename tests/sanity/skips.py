"""The specs that may be skipped: each with the capability that the driver lacks, and why."""

from tests.sanity.report import Lack

_NO_ATTACH = "a volume of this node is never attached to it or detached from it"
_NO_PROPERTIES = "an embedded pool has no property that could change on a living volume"

# Not ours: csi-test has switched this one off itself.
PENDING = Lack(
    "ListVolumes pagination should detect volumes added between pages",
    "pending",
    capability="",
    why="switched off by csi-test itself; tests of our own cover paging",
)
ATTACHING = (
    Lack(
        "ControllerPublishVolume",
        "ControllerPublishVolume not supported",
        capability="PUBLISH_UNPUBLISH_VOLUME",
        why=_NO_ATTACH,
    ),
    Lack(
        "ControllerUnpublishVolume",
        "ControllerUnpublishVolume not supported",
        capability="PUBLISH_UNPUBLISH_VOLUME",
        why=_NO_ATTACH,
    ),
    Lack(
        "volume lifecycle",
        "Controller Publish, UnpublishVolume not supported",
        capability="PUBLISH_UNPUBLISH_VOLUME",
        why=_NO_ATTACH,
    ),
)
SNAPSHOT_TOPOLOGY = Lack(
    "should succeed when creating a snapshot with accessibility requirements",
    "SNAPSHOT_ACCESSIBILITY_CONSTRAINTS not supported",
    capability="SNAPSHOT_ACCESSIBILITY_CONSTRAINTS",
    why="a snapshot is where its volume is; nobody can ask for another place yet",
)
MODIFYING = (
    Lack(
        "ModifyVolume [Controller Server]",
        "ControllerModifyVolume not supported",
        capability="MODIFY_VOLUME",
        why=_NO_PROPERTIES,
    ),
    Lack(
        "should create volume with a volume attribute class",
        "Modify volume not supported",
        capability="MODIFY_VOLUME",
        why=_NO_PROPERTIES,
    ),
    Lack(
        "should not create volume with an invalid volume attribute class",
        "Modify Volume not supported",
        capability="MODIFY_VOLUME",
        why=_NO_PROPERTIES,
    ),
)

# What every pool lacks, and what an embedded one lacks beside that.
EVERYWHERE = (PENDING, *ATTACHING, SNAPSHOT_TOPOLOGY)
EMBEDDED = (*EVERYWHERE, *MODIFYING)

# A router cannot know what nodes that come later will be able to do, so it says yes to this one;
# the node behind it in `make sanity` then refuses.
NOT_ON_THIS_NODE = r"ModifyVolume .* should modify a volume created"
ROUTED = (
    *EVERYWHERE,
    Lack("should modify a volume created", "skipped", capability="", why=_NO_PROPERTIES),
)
