"""What a cluster still has of a driver: asked before the driver is uninstalled."""

from dataclasses import dataclass

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from csi_zfs.cluster.client import (
    NOT_FOUND,
    REQUEST_TIMEOUT_S,
    json_of,
    translating,
)

_PAGE = 500
_SNAPSHOTS = ("snapshot.storage.k8s.io", "v1", "volumesnapshotcontents")


@dataclass(frozen=True, slots=True)
class Leftovers:
    """Names of the objects in the cluster that stand for data of a driver."""

    volumes: tuple[str, ...]
    snapshots: tuple[str, ...]

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self.volumes or self.snapshots)


def leftovers_of(api: client.ApiClient, driver_name: str) -> Leftovers:
    """The PersistentVolumes and VolumeSnapshotContents of a driver.

    Raises `ClusterUnavailableError`, `ClusterForbidsError`.
    """
    return Leftovers(_volumes(api, driver_name), _snapshots(api, driver_name))


def _volumes(api: client.ApiClient, driver_name: str) -> tuple[str, ...]:
    token, found = "", list[str]()
    while True:
        with translating("PersistentVolumes"):
            page = json_of(
                client.CoreV1Api(api).list_persistent_volume(
                    limit=_PAGE,
                    _continue=token,
                    _request_timeout=REQUEST_TIMEOUT_S,
                    _preload_content=False,
                )
            )
        found += [
            one["metadata"]["name"]
            for one in page["items"]
            if one["spec"].get("csi", {}).get("driver") == driver_name
        ]
        token = page["metadata"].get("continue", "")
        if not token:
            return tuple(found)


def _snapshots(api: client.ApiClient, driver_name: str) -> tuple[str, ...]:
    try:
        with translating("VolumeSnapshotContents", passing=(NOT_FOUND,)):
            answer = json_of(
                client.CustomObjectsApi(api).list_cluster_custom_object(
                    *_SNAPSHOTS, _request_timeout=REQUEST_TIMEOUT_S, _preload_content=False
                )
            )
    except ApiException:
        return ()  # a cluster without snapshots
    return tuple(
        one["metadata"]["name"]
        for one in answer["items"]
        if one["spec"].get("driver") == driver_name
    )
