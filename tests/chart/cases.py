"""What is rendered to be compared: no values at all, each file of values, each switch."""

from typing import Final

from tests.chart.helm import GROUP_SNAPSHOTS, SNAPSHOTS, VALUES, Case

DEFAULT: Final = Case()
_APIS = ("snapshots", "groupSnapshots", "volumeAttributesClasses")
_CLUSTERS = {name: Case((name,)) for name in sorted(path.stem for path in VALUES.glob("*.yaml"))}
_SWITCHES = {
    "no-apis": Case(apis=()),
    "no-group-snapshots": Case(apis=(SNAPSHOTS,)),
    "no-attributes-classes": Case(("openzfs",), apis=(SNAPSHOTS, GROUP_SNAPSHOTS)),
    "apis-always": Case(
        sets=tuple(f'apis.{name}="always"' for name in _APIS),
        apis=(),
    ),
    "apis-never": Case(
        sets=tuple(f'apis.{name}="never"' for name in _APIS),
    ),
    "existing-secret": Case(
        sets=('tls={"mode": "existingSecret", "agentSecret": "a", "controllerSecret": "c"}',)
    ),
    "cert-manager": Case(sets=('tls.mode="certManager"',)),
    "cert-manager-own-issuer": Case(
        sets=(
            'tls.mode="certManager"',
            'tls.certManager.issuerRef={"kind": "ClusterIssuer", "name": "house"}',
        )
    ),
    "upstream-sidecars": Case(
        sets=("sidecars.nodeDriverRegistrar.enabled=true", "sidecars.livenessProbe.enabled=true")
    ),
    "monitoring": Case(
        sets=(
            'monitoring={"podMonitor": {"enabled": true}, "serviceMonitor": {"enabled": true}}',
            'networkPolicy.metricsFrom=[{"namespaceSelector": {}}]',
        )
    ),
    "encrypted": Case(
        sets=(
            'storageClasses[0].name="locked"',
            'storageClasses[0].parameters.encryption="on"',
            'storageClasses[0].secret={"name": "data-key", "namespace": "storage-keys"}',
            'controller.secretAccess=[{"namespace": "storage-keys", "names": ["data-key"]}]',
        )
    ),
    "priority-class": Case(sets=("priorityClass.create=true",)),
    "uninstall-confirmed": Case(sets=("uninstall.confirmed=true",)),
    "second-driver": Case(
        release="second",
        sets=(
            'driverName="second.example.com"',
            'pools=[{"name": "other", "path": "/srv/second/other"}]',
            'storageClasses=[{"name": "second", "default": true}]',
            "volumeSnapshotClasses=[]",
            "volumeGroupSnapshotClasses=[]",
        ),
    ),
    "settings": Case(
        sets=(
            'node.settings={"shutdown_grace_s": 90.5, "rpc_threads": 32}',
            'node.settings.default_volume_size="2Gi"',
            'controller.settings={"shutdown_grace_s": 60, "rpc_threads": 64}',
            'log={"format": "json", "level": "debug"}',
        )
    ),
}
CASES: Final = {"default": DEFAULT, **_CLUSTERS, **_SWITCHES}
