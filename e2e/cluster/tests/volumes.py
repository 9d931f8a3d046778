"""Claims and snapshots for the tests of a driver on the cluster."""

from collections.abc import Mapping, Sequence

from e2e.cluster.kubectl import Object

DRIVER_NAME = "csi-zfs.io"
STORAGE_CLASS = "csi-zfs"
SNAPSHOT_CLASS = "csi-zfs"
SNAPSHOT_GROUP = "snapshot.storage.k8s.io"
VOLUME = "/volume"
DEVICE = "/dev/volume"


def claim(
    name: str,
    size: str = "64Mi",
    *,
    source: Mapping[str, str] | None = None,
    storage_class: str = STORAGE_CLASS,
    volume_mode: str = "Filesystem",
    access_modes: Sequence[str] = ("ReadWriteOnce",),
) -> Object:
    """A claim, perhaps of a copy."""
    spec: Object = {
        "storageClassName": storage_class,
        "accessModes": list(access_modes),
        "volumeMode": volume_mode,
        "resources": {"requests": {"storage": size}},
    }
    if source is not None:
        spec["dataSource"] = dict(source)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": spec,
    }


def storage_class(name: str, parameters: Mapping[str, str]) -> Object:
    """A class of the driver beside the chart's own."""
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": DRIVER_NAME,
        "parameters": dict(parameters),
        "volumeBindingMode": "WaitForFirstConsumer",
        "allowVolumeExpansion": True,
    }


def from_snapshot(name: str) -> dict[str, str]:
    """The source of a claim that is restored from a snapshot."""
    return {"apiGroup": SNAPSHOT_GROUP, "kind": "VolumeSnapshot", "name": name}


def from_claim(name: str) -> dict[str, str]:
    """The source of a claim that is a clone of another one."""
    return {"kind": "PersistentVolumeClaim", "name": name}


def snapshot(name: str, claim_name: str) -> Object:
    """A snapshot of a claim's volume."""
    return {
        "apiVersion": f"{SNAPSHOT_GROUP}/v1",
        "kind": "VolumeSnapshot",
        "metadata": {"name": name},
        "spec": {
            "volumeSnapshotClassName": SNAPSHOT_CLASS,
            "source": {"persistentVolumeClaimName": claim_name},
        },
    }


def mounted() -> dict[str, object]:
    """What the container of a pod with a file system of ours has besides others."""
    return {"volumeMounts": [{"name": "volume", "mountPath": VOLUME}]}


def attached() -> dict[str, object]:
    """The same for a block device."""
    return {"volumeDevices": [{"name": "volume", "devicePath": DEVICE}]}


def using(claim_name: str) -> dict[str, object]:
    """What the pod itself has in both cases."""
    claimed = {"claimName": claim_name}
    return {"volumes": [{"name": "volume", "persistentVolumeClaim": claimed}]}
