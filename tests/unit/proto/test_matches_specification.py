"""Our csi.proto defines what the specification's own csi.proto defines, no more and no less."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.unit.proto.definitions import CSI_PROTO, differences, load_definitions

SPECIFICATION = "github.com/container-storage-interface/spec@v1.13.0"
OUR_FOLDER = Path(__file__).resolve().parents[3] / "proto"

# Go's installer does not put this one on PATH.
GO = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")


class Alteration(NamedTuple):
    """A change of the file's text, and the path below which all differences must lie."""

    before: str
    after: str
    path: str


ALTERATIONS = {
    "renumbered field": Alteration(
        "capacity_range = 2;",
        "capacity_range = 20;",
        "message_type[CreateVolumeRequest].field[capacity_range].number",
    ),
    "other field type": Alteration(
        "int64 required_bytes",
        "int32 required_bytes",
        "message_type[CapacityRange].field[required_bytes].type",
    ),
    "other message type": Alteration(
        "CapacityRange capacity_range",
        "Topology capacity_range",
        "message_type[CreateVolumeRequest].field[capacity_range].type_name",
    ),
    "other map value": Alteration(
        "map<string, string> segments",
        "map<string, bytes> segments",
        "message_type[Topology].nested_type[SegmentsEntry].field[value].type",
    ),
    "no longer repeated": Alteration(
        "repeated string mount_flags",
        "string mount_flags",
        "message_type[VolumeCapability].nested_type[MountVolume].field[mount_flags].label",
    ),
    "explicit presence": Alteration(
        "int64 limit_bytes",
        "optional int64 limit_bytes",
        "message_type[CapacityRange].",
    ),
    "other JSON name": Alteration(
        "int64 limit_bytes = 2;",
        'int64 limit_bytes = 2 [json_name = "limit"];',
        "message_type[CapacityRange].field[limit_bytes].json_name",
    ),
    "deprecated field": Alteration(
        "int64 limit_bytes = 2;",
        "int64 limit_bytes = 2 [deprecated = true];",
        "message_type[CapacityRange].field[limit_bytes].options.deprecated",
    ),
    "field moved into a oneof": Alteration(
        "  }\n  AccessMode access_mode = 3;\n",
        "    AccessMode access_mode = 3;\n  }\n",
        "message_type[VolumeCapability].field[access_mode].oneof_index",
    ),
    "renamed oneof": Alteration(
        "oneof access_type",
        "oneof access",
        "message_type[VolumeCapability].oneof_decl[0].name",
    ),
    "missing field": Alteration(
        "  int64 size_bytes = 1;\n",
        "",
        "message_type[Snapshot].field[size_bytes].",
    ),
    "additional message": Alteration(
        "message CreateVolumeResponse {",
        "message Unexpected {}\n\nmessage CreateVolumeResponse {",
        "message_type[Unexpected].name",
    ),
    "missing reserved number": Alteration(
        "  reserved 2;\n  repeated VolumeUsage",
        "  repeated VolumeUsage",
        "message_type[NodeGetVolumeStatsResponse].reserved_range[0].",
    ),
    "missing reserved enum number": Alteration(
        "      reserved 11;\n",
        "",
        "message_type[ControllerServiceCapability].nested_type[RPC].enum_type[Type].reserved_range",
    ),
    "additional reserved name": Alteration(
        "  reserved 2;\n  repeated VolumeUsage",
        '  reserved 2;\n  reserved "gone";\n  repeated VolumeUsage',
        "message_type[NodeGetVolumeStatsResponse].reserved_name[0]",
    ),
    "renumbered enum value": Alteration(
        "DATA_LOSS = 3;", "DATA_LOSS = 4;", "enum_type[VolumeHealthErrorType].value[DATA_LOSS]."
    ),
    "missing method": Alteration(
        "  rpc Probe(ProbeRequest) returns (ProbeResponse);\n",
        "",
        "service[Identity].method[Probe].",
    ),
    "method that does not stream": Alteration(
        "returns (stream GetMetadataDeltaResponse)",
        "returns (GetMetadataDeltaResponse)",
        "service[SnapshotMetadata].method[GetMetadataDelta].server_streaming",
    ),
    "field without csi_secret": Alteration(
        "secrets = 5 [(csi_secret) = true];",
        "secrets = 5;",
        "message_type[CreateVolumeRequest].field[secrets].options.(csi.v1.csi_secret)",
    ),
    "one of two field options": Alteration(
        "[(csi_secret) = true, (alpha_field) = true]",
        "[(alpha_field) = true]",
        "message_type[NodeExpandVolumeRequest].field[secrets].options.(csi.v1.csi_secret)",
    ),
    "message without alpha_message": Alteration(
        "message GetSnapshotResponse {\n  option (alpha_message) = true;\n",
        "message GetSnapshotResponse {\n",
        "message_type[GetSnapshotResponse].options.(csi.v1.alpha_message)",
    ),
    "method without alpha_method": Alteration(
        "(GetSnapshotResponse) {\n    option (alpha_method) = true;\n  }",
        "(GetSnapshotResponse);",
        "service[Controller].method[GetSnapshot].options.(csi.v1.alpha_method)",
    ),
    "service without alpha_service": Alteration(
        "  option (alpha_service) = true;\n",
        "",
        "service[SnapshotMetadata].options.(csi.v1.alpha_service)",
    ),
    "value without alpha_enum_value": Alteration(
        "GET_SNAPSHOT = 15 [(alpha_enum_value) = true];",
        "GET_SNAPSHOT = 15;",
        "message_type[ControllerServiceCapability].nested_type[RPC].enum_type[Type]"
        ".value[GET_SNAPSHOT].options.(csi.v1.alpha_enum_value)",
    ),
    "enum with alpha_enum": Alteration(
        "enum BlockMetadataType {\n",
        "enum BlockMetadataType {\n  option (alpha_enum) = true;\n",
        "enum_type[BlockMetadataType].options.(csi.v1.alpha_enum)",
    ),
    "renumbered extension": Alteration(
        "csi_secret = 1059;", "csi_secret = 1061;", "extension[csi_secret].number"
    ),
    "other file option": Alteration("spec/lib/go/csi", "spec/lib/go/other", "options.go_package"),
}


@pytest.fixture(scope="module")
def ours() -> dict[str, object]:
    """Return what our file defines."""
    return load_definitions(OUR_FOLDER)


@pytest.fixture(scope="module")
def specification_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the specification's csi.proto, fetched and verified by Go."""
    if GO is None:
        pytest.skip("no `go` here to fetch the CSI specification with")
    download = subprocess.run(
        [GO, "mod", "download", "-json", SPECIFICATION],
        cwd=tmp_path_factory.mktemp("outside-any-go-module"),
        check=False,
        capture_output=True,
        text=True,
    )
    assert download.returncode == 0, download.stdout + download.stderr
    return Path(json.loads(download.stdout)["Dir"])


@pytest.mark.go
def test_our_file_equals_the_specification(
    ours: dict[str, object], specification_folder: Path
) -> None:
    found = differences(load_definitions(specification_folder), ours)

    assert not found, "\n".join(found)


@pytest.mark.parametrize("alteration", ALTERATIONS.values(), ids=ALTERATIONS)
def test_altered_file_is_told_apart_by_path(
    ours: dict[str, object], alteration: Alteration, tmp_path: Path
) -> None:
    text = (OUR_FOLDER / CSI_PROTO).read_text()
    altered = text.replace(alteration.before, alteration.after, 1)
    assert altered != text
    (tmp_path / CSI_PROTO).write_text(altered)

    found = differences(ours, load_definitions(tmp_path))

    assert found
    assert [line for line in found if not line.startswith(alteration.path)] == []


def test_difference_names_both_values() -> None:
    expected = {"field[a].number": 1, "field[b].number": 2, "field[c].number": 3}
    found = {"field[a].number": 1, "field[b].number": 4, "field[d].number": 5}

    assert differences(expected, found) == [
        "field[b].number: expected 2, found 4",
        "field[c].number: expected 3, found nothing",
        "field[d].number: expected nothing, found 5",
    ]
