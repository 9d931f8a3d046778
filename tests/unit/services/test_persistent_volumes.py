"""Volumes as PersistentVolume objects: what a cluster needs to use them again."""

import pytest

from csi_zfs.domain.capabilities import AccessType
from csi_zfs.domain.ids import VolumeId
from csi_zfs.domain.model import Volume
from csi_zfs.domain.sizes import MIB
from csi_zfs.services.identity import Identity
from csi_zfs.services.persistent_volumes import KubernetesObject, SecretName, persistent_volumes

UID = "00112233445566aa"
HERE = Identity("csi-zfs.io", "1", "node-2", "topology.csi-zfs.io/node")


def volume(
    name: str,
    *,
    uid: str = UID,
    access_type: AccessType = AccessType.MOUNT,
    context: dict[str, str] | None = None,
) -> Volume:
    return Volume(
        volume_id=VolumeId("0123456789abcdef", "leaf", uid),
        volume_name=name,
        capacity_bytes=64 * MIB,
        access_type=access_type,
        fs_type="xfs" if access_type is AccessType.MOUNT else "",
        volume_context=context or {},
    )


def object_of(made: Volume, storage_class: str = "") -> KubernetesObject:
    (only,) = persistent_volumes([made], HERE, storage_class=storage_class)
    return only


def names_of(*volumes: Volume) -> list[str]:
    names = []
    for one in persistent_volumes(volumes, HERE):
        metadata = one["metadata"]
        assert isinstance(metadata, dict)
        names.append(metadata["name"])
    return names


def test_object_is_what_the_provisioner_would_make_and_keeps_the_data() -> None:
    assert object_of(volume("pvc-1"), "fast") == {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": "pvc-1",
            "annotations": {"pv.kubernetes.io/provisioned-by": "csi-zfs.io"},
        },
        "spec": {
            "capacity": {"storage": "67108864"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": "fast",
            "volumeMode": "Filesystem",
            "csi": {
                "driver": "csi-zfs.io",
                "volumeHandle": f"zfs1:0123456789abcdef:v:leaf:{UID}",
                "fsType": "xfs",
            },
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {
                                    "key": "topology.csi-zfs.io/node",
                                    "operator": "In",
                                    "values": ["node-2"],
                                }
                            ]
                        }
                    ]
                }
            },
        },
    }


def test_object_of_a_block_volume_has_no_file_system() -> None:
    spec = object_of(volume("a", access_type=AccessType.BLOCK))["spec"]
    assert isinstance(spec, dict)
    assert spec["volumeMode"] == "Block"
    assert "fsType" not in spec["csi"]


def test_object_has_the_volume_context() -> None:
    spec = object_of(volume("a", context={"key": "value"}))["spec"]
    assert isinstance(spec, dict)
    assert spec["csi"]["volumeAttributes"] == {"key": "value"}


def test_object_of_an_encrypted_volume_names_its_secret() -> None:
    secret, plain = volume("secret"), volume("plain", uid="ff112233445566aa")
    objects = persistent_volumes(
        [secret, plain], HERE, secrets={secret.volume_id: SecretName("keys", "data-key")}
    )
    sources = [spec["csi"] for spec in (one["spec"] for one in objects) if isinstance(spec, dict)]
    for reference in ("nodeStageSecretRef", "controllerExpandSecretRef"):
        assert sources[0][reference] == {"namespace": "keys", "name": "data-key"}
        assert reference not in sources[1]


@pytest.mark.parametrize("name", ["pvc-1", "a", "a.b-c", "0", "a" * 128])
def test_object_has_the_name_of_the_volume(name: str) -> None:
    assert names_of(volume(name)) == [name]


@pytest.mark.parametrize("name", ["A", "a_b", "a-", "-a", "a..b", "ü", "a b", ""])
def test_object_whose_name_kubernetes_refuses_has_one_of_its_uid(name: str) -> None:
    assert names_of(volume(name)) == [f"csi-zfs-{UID}"]


def test_volumes_of_one_name_on_two_pools_have_objects_of_their_own() -> None:
    other = "ff112233445566aa"
    assert names_of(volume("a"), volume("a", uid=other), volume("b")) == [
        f"a-{UID}",
        f"a-{other}",
        "b",
    ]
