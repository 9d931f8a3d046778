"""Which values each setting takes, up to the last one, and which not."""

import math
from pathlib import Path

import pytest

from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.domain.sizes import GIB, MAX_BYTES, MIB
from csi_zfs.settings import (
    AGENT_TABLE,
    CONTROLLER_TABLE,
    POOL_TABLE,
    SETTINGS_TABLE,
    Address,
    AgentSettings,
    ControllerSettings,
    PoolSettings,
    Settings,
)
from csi_zfs.settings.kinds import YES_OR_NO

TABLES = (*SETTINGS_TABLE, *POOL_TABLE, *CONTROLLER_TABLE, *AGENT_TABLE)
SPECS = {spec.key: spec for spec in TABLES}


@pytest.mark.parametrize(
    ("key", "written", "value"),
    [
        ("driver_name", "a" * 63, "a" * 63),
        ("driver_name", "Disks-1.example.COM", "Disks-1.example.COM"),
        ("endpoint", "unix:///run/a.sock", Path("/run/a.sock")),
        ("endpoint", "/run/a.sock", Path("/run/a.sock")),
        ("endpoint", "/" + "s" * 106, Path("/" + "s" * 106)),
        ("node_id", "n" * 63, "n" * 63),
        ("topology_key", "node", "node"),
        ("topology_key", "p" * 63 + "/" + "N" * 63, "p" * 63 + "/" + "N" * 63),
        ("topology_key", "a.b-c.d/No_d.e", "a.b-c.d/No_d.e"),
        ("kubelet_dir", "/var/lib/kübelet dir", Path("/var/lib/kübelet dir")),
        ("default_volume_size", "1Mi", MIB),
        ("default_volume_size", MAX_BYTES, MAX_BYTES),
        ("freeze_limit_s", 0.1, 0.1),
        ("freeze_limit_s", 60, 60.0),
        ("rpc_threads", 1, 1),
        ("rpc_threads", 256, 256),
        ("metrics_address", "", None),
        ("metrics_address", "localhost:65535", Address("localhost", 65535)),
        ("metrics_address", "127.0.0.1:1", Address("127.0.0.1", 1)),
        ("metrics_address", "[::]:9808", Address("[::]", 9808)),
        ("address", "[fd00::7]:9809", Address("[fd00::7]", 9809)),
        ("name", "0" + "-" * 62, "0" + "-" * 62),
        ("size", "100Gi", 100 * GIB),
        ("thin_ratio", 1, 1.0),
        ("thin_ratio", 100.0, 100.0),
        ("reserve_percent", 0, 0),
        ("reserve_percent", 50, 50),
    ],
)
def test_setting_takes_a_value_at_its_bounds(key: str, written: object, value: object) -> None:
    assert SPECS[key].kind.parse(written) == value


WRONG: dict[str, list[object]] = {
    "driver_name": ["", "a" * 64, "a_b", "-a", "a-", "a..b", ".a", "ä", "a\n"],
    "endpoint": [
        "",
        "unix:///",
        "run/a",
        "tcp://a:5",
        "unix://run/a",
        "/" + "s" * 107,
        "/run/../a",
    ],
    "node_id": ["", "n" * 193, "a b", "ä", "a\n"],
    "topology_key": ["", "/a", "a/", "A.b/c", "a/b/c", "a_b/c", "a/-b", "a" * 64, "p" * 64 + "/a"],
    "kubelet_dir": ["", "/", "//", "a", "/a/..", "/\ud800", "/a\n", "/a\0", "/" + "a" * 4095],
    "default_volume_size": [
        0,
        -1,
        MIB - 1,
        MAX_BYTES + 1,
        "",
        "1",
        "1.5Gi",
        "-1Gi",
        "1Xi",
        "9" * 19,
    ],
    "freeze_limit_s": [0, 0.09, 60.1, -1, math.inf, math.nan],
    "command_timeout_s": [0.9, 3601],
    "shutdown_grace_s": [-0.1, 3601],
    "rpc_threads": [0, 257, -1],
    "metrics_address": [
        "9808",
        ":9808",
        "a:0",
        "a:65536",
        "a:b",
        "a:\N{BENGALI DIGIT ONE}",
        "::1:1",
        "a b:1",
        "http://a:1",
    ],
    "log_format": ["", "JSON", "xml"],
    "log_level": ["", "INFO", "fatal"],
    "name": ["", "-a", "a.b", "A", "a" * 64, "ä", "a\n"],
    "path": ["", "a", "/a/../b", "/" + "a" * 120],
    "thin_ratio": [0.99, 100.1, 0, math.nan],
    "reserve_percent": [-1, 51, 5.0],
}


@pytest.mark.parametrize(
    ("key", "written"), [(key, value) for key, values in WRONG.items() for value in values]
)
def test_setting_refuses_a_value_outside_its_bounds(key: str, written: object) -> None:
    with pytest.raises(InvalidRequestError):
        SPECS[key].kind.parse(written)


@pytest.mark.parametrize("key", ["default_volume_size", "freeze_limit_s", "rpc_threads"])
def test_setting_refuses_a_number_that_python_would_not_even_print(key: str) -> None:
    with pytest.raises(InvalidRequestError):
        SPECS[key].kind.parse(1 << 99_999)


@pytest.mark.parametrize("key", SPECS)
@pytest.mark.parametrize("value", [None, True, [], {}, b"a", Path("/a"), 1 + 1j])
def test_setting_refuses_a_value_of_another_type(key: str, value: object) -> None:
    """True is a number to Python, but not to a person."""
    if SPECS[key].kind is YES_OR_NO and isinstance(value, bool):
        value = 1  # and 1 is not true
    with pytest.raises(InvalidRequestError, match=r"^must be .*, not "):
        SPECS[key].kind.parse(value)


@pytest.mark.parametrize("key", ["rpc_threads", "freeze_limit_s"])
def test_number_refuses_text_in_a_file_and_takes_it_in_a_variable(key: str) -> None:
    kind = SPECS[key].kind

    assert kind.parse(kind.from_text("16")) == 16
    for text in ("16", kind.from_text("sixteen"), kind.from_text("")):
        with pytest.raises(InvalidRequestError, match="not text"):
            kind.parse(text)


def test_whole_number_refuses_a_fraction() -> None:
    with pytest.raises(InvalidRequestError, match="not a fraction"):
        SPECS["rpc_threads"].kind.parse(1.5)


def test_refusal_shows_a_long_value_in_part() -> None:
    with pytest.raises(InvalidRequestError) as caught:
        SPECS["name"].kind.parse("A" * 10_000)

    assert len(str(caught.value)) < 200


def test_tables_name_every_field_once() -> None:
    """What is in no table is neither documented nor read; the pools have a table of their own."""
    attributes = [spec.attribute for spec in SETTINGS_TABLE]

    assert sorted([*attributes, "pools"]) == sorted(Settings.__dataclass_fields__)
    assert [spec.attribute for spec in POOL_TABLE] == list(PoolSettings.__dataclass_fields__)
    assert {spec.key for spec in (*SETTINGS_TABLE, *POOL_TABLE) if spec.is_required} == {"name"}
    router = [spec.attribute for spec in CONTROLLER_TABLE]
    assert sorted([*router, "agents"]) == sorted(ControllerSettings.__dataclass_fields__)
    assert [spec.attribute for spec in AGENT_TABLE] == list(AgentSettings.__dataclass_fields__)


def test_setting_names_its_variable() -> None:
    assert SPECS["log_level"].variable == "CSI_ZFS_LOG_LEVEL"
