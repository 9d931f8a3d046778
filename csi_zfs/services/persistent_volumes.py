"""Volumes as PersistentVolume objects of Kubernetes, such as the external-provisioner makes."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.model import Volume
from csi_zfs.services.identity import Identity

KubernetesObject = dict[str, object]


class SecretName(NamedTuple):
    """A Secret of the cluster."""

    namespace: str
    name: str


NO_SECRETS: Mapping[VolumeId, SecretName] = MappingProxyType({})

_LABEL = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
# What Kubernetes takes as the name of an object: a DNS subdomain.
_OBJECT_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)


def persistent_volumes(
    volumes: Sequence[Volume],
    identity: Identity,
    *,
    storage_class: str = "",
    secrets: Mapping[VolumeId, SecretName] = NO_SECRETS,
) -> list[KubernetesObject]:
    """An object for each volume, always of the same name.

    That is the volume's own, which the provisioner took from its PersistentVolume; where Kubernetes
    does not allow it, `csi-zfs-<uid>`; where two pools have it, with `-<uid>` behind.  Whoever
    deletes such an object keeps the data: it says Retain.  `secrets` are those of encrypted ones.
    """
    counts = Counter(map(_name_of, volumes))
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolume",
            "metadata": {
                "name": _unique_name(volume, counts),
                # Without it nobody would delete the volume, should it ever say Delete.
                "annotations": {"pv.kubernetes.io/provisioned-by": identity.driver_name},
            },
            "spec": _spec(volume, identity, storage_class, secrets.get(volume.volume_id)),
        }
        for volume in volumes
    ]


def _spec(
    volume: Volume, identity: Identity, storage_class: str, secret: SecretName | None
) -> KubernetesObject:
    return {
        "capacity": {"storage": str(volume.capacity_bytes)},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": storage_class,
        "volumeMode": "Block" if volume.access_type is AccessType.BLOCK else "Filesystem",
        "csi": _source(volume, identity) | _references(secret),
        "nodeAffinity": _affinity(identity),
    }


def _source(volume: Volume, identity: Identity) -> KubernetesObject:
    source: KubernetesObject = {
        "driver": identity.driver_name,
        "volumeHandle": str(volume.volume_id),
    }
    if volume.access_type is AccessType.MOUNT:
        source["fsType"] = volume.fs_type
    if volume.volume_context:
        source["volumeAttributes"] = dict(volume.volume_context)
    return source


def _references(secret: SecretName | None) -> KubernetesObject:
    """Where its key is, for the calls that need it."""
    if secret is None:
        return {}
    reference = {"name": secret.name, "namespace": secret.namespace}
    return {"nodeStageSecretRef": reference, "controllerExpandSecretRef": dict(reference)}


def _affinity(identity: Identity) -> KubernetesObject:
    expressions = [
        {"key": key, "operator": "In", "values": [value]}
        for key, value in identity.topology.items()
    ]
    return {"required": {"nodeSelectorTerms": [{"matchExpressions": expressions}]}}


def _name_of(volume: Volume) -> str:
    name = volume.volume_name
    return name if _OBJECT_NAME.fullmatch(name) else f"csi-zfs-{volume.volume_id.uid}"


def _unique_name(volume: Volume, counts: Counter[str]) -> str:
    name = _name_of(volume)
    return name if counts[name] == 1 else f"{name}-{volume.volume_id.uid}"
