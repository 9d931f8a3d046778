"""What the chart refuses of its values, before it renders anything."""

import pytest

from tests.chart.helm import Case, HelmRefusedError, render

REFUSED = [
    ("pool=[]", "additional properties 'pool' not allowed"),
    ("node.options={}", "additional properties 'options' not allowed"),
    ('node.settings={"rpc_thread": 3}', "additional properties 'rpc_thread' not allowed"),
    ('node.settings={"rpc_threads": "3"}', "got string, want integer"),
    ('node.settings={"rpc_threads": 3.5}', "want integer"),
    ('node.settings={"freeze_limit_s": 61}', "/node/settings/freeze_limit_s"),
    ('controller.settings={"freeze_limit_s": 6}', "not allowed"),
    ('controller.replicas="two"', "got string, want integer"),
    ("controller.replicas=0", "/controller/replicas"),
    ('kubeletDir="var/lib/kubelet"', "/kubeletDir"),
    ('kubeletDir="/var/lib/../kubelet"', "/kubeletDir"),
    ('driverName="Zfs"', "/driverName"),
    ('image.tag="latest"', "/image/tag"),
    ('sidecars.resizer.image.tag="latest"', "/sidecars/resizer/image"),
    ('image.digest="sha256:12"', "/image/digest"),
    ('pools=[{"path": "/srv/a/b"}]', "missing property 'name'"),
    ('pools=[{"name": "a"}]', "/pools/0"),
    ('pools=[{"name": "a", "path": "/srv/a/b", "dataset": "tank/csi"}]', "/pools/0"),
    ('pools=[{"name": "a", "pth": "/srv/a/b"}]', "'pth' not allowed"),
    ('pools=[{"name": "a", "path": "/srv/a/b", "create": "yes"}]', "want boolean"),
    ('nodeGroups=[{"name": "tank"}]', "missing property 'pools'"),
    ('nodeGroups=[{"name": "tank", "pools": []}]', "/nodeGroups/0/pools"),
    ('tls.mode="none"', "/tls/mode"),
    ('apis.snapshots="yes"', "/apis/snapshots"),
    ('storageClasses=[{"name": "a", "fstype": "xfs"}]', "'fstype' not allowed"),
    ('storageClasses=[{"name": "a", "fsType": "btrfs"}]', "/storageClasses/0/fsType"),
    ('storageClasses=[{"name": "a", "parameters": {"thick": true}}]', "want string"),
    ('volumeAttributesClasses=[{"name": "a"}]', "missing property 'parameters'"),
    ('sidecars.provisioner.timeout="60"', "/sidecars/provisioner/timeout"),
    ('controller.secretAccess=[{"names": ["a"]}]', "missing property 'namespace'"),
]
REFUSED_BY_TEMPLATES = [
    ("pools=[]", "no node would have a pool"),
    ('pools=[{"name": "a", "path": "/pool"}]', "one directory deeper than /pool"),
    ('pools=[{"name": "a", "path": "/var/lib/pool"}]', "/var/lib is not one to show"),
    ('tls.mode="existingSecret"', "needs tls.agentSecret"),
]


@pytest.mark.parametrize(("text", "words"), [*REFUSED, *REFUSED_BY_TEMPLATES])
def test_wrong_value_is_refused_with_its_place(text: str, words: str) -> None:
    with pytest.raises(HelmRefusedError) as refused:
        render(Case(sets=(text,)))
    assert words in str(refused.value)
