"""Makes docs/reference, the example settings and tests/README.md from the code.

To write them anew: make docs
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import csi_zfs
from csi_zfs.domain.capabilities import DEFAULT_FS_TYPE, FS_TYPES, MOUNT_FLAGS, NATIVE_FS_TYPE
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.parameters import (
    EPHEMERAL_PARAMETERS,
    PROPERTY_PARAMETERS,
    VOLUME_PARAMETERS,
    ParameterSpec,
)
from csi_zfs.rpc.metrics import METRICS
from csi_zfs.rpc.status import INTERNAL_MEANING, TABLE
from csi_zfs.settings import (
    AGENT_TABLE,
    CONTROLLER_TABLE,
    POOL_TABLE,
    SETTINGS_TABLE,
    SettingSpec,
)
from docs.rules import PATH as TESTS_PATH
from docs.rules import readme
from docs.settings_example import PATH as EXAMPLE_PATH
from docs.settings_example import example_toml
from docs.values import rows as rows_of_values
from tests.chart.permissions import GRANTS
from tests.chart.permissions import rows as rows_of_permissions

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Made from the code by `make docs`: edit the code instead. -->\n"
METRICS_INTRODUCTION = """\
# Metrics

Served in Prometheus's text format at `/metrics` of `metrics_address`, which is off by default;
`/healthz` beside it answers 200 while the driver can serve, and 503 otherwise.

"""
PARAMETERS_PAGE = """\
# Parameters

An unknown parameter is INVALID_ARGUMENT and names its near match. Keys under
`csi.storage.k8s.io/` and `storage.kubernetes.io/` come from sidecars and choose nothing.

## StorageClass
{volume_table}
## Inline ephemeral volumes
{ephemeral_table}
## Properties of OpenZFS
A pool takes those that it has; the embedded pool has none and refuses them by name: {properties}.

## VolumeSnapshotClass and VolumeGroupSnapshotClass
They have no parameters.

## File systems and mount flags
`fsType` is one of {fs_types}; if none is given, {native_fs_type} on a pool on OpenZFS,
and {default_fs_type} on an embedded one, which has no {native_fs_type}.
Mount flags, of which each file system takes those that it knows: {flags}.
"""
SETTINGS_PAGE = """\
# Settings

Read from a TOML or YAML file (`csi-zfs node --config FILE`, `csi-zfs controller --config FILE`);
an environment variable goes over the file. Every mistake is told at once, with its line where
possible, and ends with exit code 2.

## Of a node
{settings_table}
### Each of `pools`
{pools_table}
## Of the controller
The router of a cluster. What it shares with a node means the same.

{controller_table}
### Each of `agents`
{agents_table}"""


PERMISSIONS_INTRODUCTION = """\
# Permissions in a cluster

What the Helm chart's service accounts may do, as it is installed with no values on a cluster with
snapshots, group snapshots and VolumeAttributesClasses. The roles `provisioner`, `snapshotter`,
`resizer` and `controller` are those of the controller's account; `uninstall-check` exists only
while `helm uninstall` runs. The account of the nodes' drivers may do nothing, and its pods have no
token. No account may read a Secret unless `controller.secretAccess` names it.

"""
VALUES_INTRODUCTION = """\
# Values of the Helm chart

Nothing has to be given. An unknown key, or a value of another form, is refused with its place.
`object` and `list` without rows of their own are in Kubernetes' own form (`pools` of a group: as
`pools`). `[]` stands for each entry of a list.

"""


def documents() -> dict[Path, str]:
    """Every document that is made from the code, by its path."""
    return {
        REFERENCE / "errors.md": NOTE + errors_page(),
        REFERENCE / "metrics.md": NOTE + metrics_page(),
        REFERENCE / "parameters.md": NOTE + parameters_page(),
        REFERENCE / "permissions.md": NOTE + permissions_page(),
        REFERENCE / "settings.md": NOTE + settings_page(),
        REFERENCE / "values.md": NOTE + values_page(),
        EXAMPLE_PATH: example_toml(),
        TESTS_PATH: readme(),
    }


def errors_page() -> str:
    """Families, their gRPC codes, and the errors of each."""
    leaves = sorted(leaves_of(CsiZfsError), key=lambda leaf: (leaf.__name__, leaf.__module__))
    rows = [(f"**{row.code.name}**", family.__name__, row.meaning) for family, row in TABLE.items()]
    rows.append(("**INTERNAL**", "anything else", INTERNAL_MEANING))
    parts = ["# Errors\n", "Each error belongs to a family that says what the caller should do.\n"]
    parts.append(table(("gRPC code", "family", "what it means to the caller"), rows))
    for family in TABLE:
        own = [leaf for leaf in leaves if family_of(leaf) is family and leaf is not family]
        parts.append(f"\n## {family.__name__}\n")
        parts.append(table(("error", "when"), [(leaf.__name__, summary(leaf)) for leaf in own]))
    return "\n".join(parts)


def family_of(leaf: type[CsiZfsError]) -> type[CsiZfsError]:
    """The family by which the status of an error is found."""
    return next(family for family in leaf.__mro__ if family in TABLE)


def leaves_of(base: type[CsiZfsError]) -> set[type[CsiZfsError]]:
    """All error classes below `base`, in every module of the package."""
    for module in pkgutil.walk_packages(csi_zfs.__path__, "csi_zfs."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return set(_below(base))


def _below(base: type[CsiZfsError]) -> Iterator[type[CsiZfsError]]:
    for child in base.__subclasses__():
        yield child
        yield from _below(child)


def summary(documented: type) -> str:
    """The first paragraph of a docstring."""
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def metrics_page() -> str:
    """The metrics."""
    rows = [
        (f"`{spec.name}`", spec.kind.value, ", ".join(spec.labels) or "none", spec.meaning)
        for spec in METRICS
    ]
    return METRICS_INTRODUCTION + table(("metric", "kind", "labels", "meaning"), rows)


def parameters_page() -> str:
    """What classes and inline volumes can ask for."""
    return PARAMETERS_PAGE.format(
        volume_table=_parameters_table(VOLUME_PARAMETERS),
        ephemeral_table=_parameters_table(EPHEMERAL_PARAMETERS),
        properties=", ".join(f"`{name}`" for name in sorted(PROPERTY_PARAMETERS)),
        fs_types=", ".join(FS_TYPES),
        default_fs_type=DEFAULT_FS_TYPE,
        native_fs_type=NATIVE_FS_TYPE,
        flags=", ".join(f"`{flag}`" for flag in sorted(MOUNT_FLAGS)),
    )


def _parameters_table(specs: Sequence[ParameterSpec]) -> str:
    rows = [
        (f"`{spec.name}`", ", ".join(spec.values) or "text", spec.default or "none", spec.meaning)
        for spec in specs
    ]
    return table(("parameter", "values", "default", "meaning"), rows)


def settings_page() -> str:
    """The settings of the driver."""
    return SETTINGS_PAGE.format(
        settings_table=_settings_table(SETTINGS_TABLE, has_variables=True),
        pools_table=_settings_table(POOL_TABLE, has_variables=False),
        controller_table=_settings_table(CONTROLLER_TABLE, has_variables=True),
        agents_table=_settings_table(AGENT_TABLE, has_variables=False),
    )


def _settings_table(specs: Sequence[SettingSpec], *, has_variables: bool) -> str:
    rows = [
        (
            f"`{spec.key}`",
            spec.kind.what,
            _default_of(spec),
            *((f"`{spec.variable}`",) if has_variables else ()),
            spec.words,
        )
        for spec in specs
    ]
    variable = ("variable",) if has_variables else ()
    return table(("setting", "value", "default", *variable, "meaning"), rows)


def _default_of(spec: SettingSpec) -> str:
    if spec.default is None:
        return "required" if spec.is_required else "see meaning"
    if isinstance(spec.default, bool):
        return f"`{str(spec.default).lower()}`"
    return f"`{spec.default}`" if spec.default != "" else "empty"


def permissions_page() -> str:
    """What the chart's accounts may do in a cluster."""
    headings = ("role", "resource", "may", "where", "why")
    return PERMISSIONS_INTRODUCTION + table(headings, rows_of_permissions(GRANTS))


def values_page() -> str:
    """The values of the chart."""
    headings = ("value", "form", "default", "meaning")
    return VALUES_INTRODUCTION + table(headings, rows_of_values())


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines
    )


def main() -> None:
    """Write every document."""
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
