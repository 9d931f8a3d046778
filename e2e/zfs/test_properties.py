"""The tables of properties, the reservations and the records are what OpenZFS itself does."""

import errno
import json
import os
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from csi_zfs.datasets.api import Dataset, DatasetKind
from csi_zfs.domain.sizes import GIB, KIB, MIB
from csi_zfs.zfs.properties import (
    canonical_properties,
    creation_properties,
    kernel_properties,
    mutable_properties,
    property_values,
)
from csi_zfs.zfs.property_values import Sizes
from csi_zfs.zfs.records import (
    DATASET_PROPERTY,
    MAX_PART_BYTES,
    MAX_PARTS,
    encode_dataset,
    parse_dataset,
)
from csi_zfs.zfs.reservation import ParityVdev, parity_vdev, refreservation_bytes
from tests.support.commands import run

LZC_TYPES = {DatasetKind.FILESYSTEM: "zfs", DatasetKind.ZVOL: "zvol"}
# No device for zvols that nobody opens: udev would keep them busy.
VOLMODE_NONE = 3
# As many as any property but compression has values.
FEW_ROWS = 16
BLOCK_SIZES = [1 << shift for shift in range(9, 25)]

# It has one value, which the volumes of test_encryption.py have.
NEEDS_A_KEY = {"encryption"}
DESTROY_ATTEMPTS = 50

Row = dict[str, str]


def texts_of(kind: DatasetKind, name: str) -> list[str]:
    """What the table takes for a property: every word, every power of two."""
    values = property_values(kind, name)
    if not isinstance(values, Sizes):
        return list(values.words)
    sizes = BLOCK_SIZES if values.is_power_of_two else [3 * MIB]
    return [*values.words, *(str(size) for size in sizes if size <= values.maximum_bytes)]


def rows_of(kind: DatasetKind) -> list[Row]:
    """Sets of properties in which every value of every property occurs, once."""
    names = creation_properties(kind) - NEEDS_A_KEY
    texts = {name: texts_of(kind, name) for name in sorted(names)}
    rows = [
        {name: own[place] for name, own in texts.items() if place < len(own)}
        for place in range(max(map(len, texts.values())))
    ]
    # The first value of normalization is `none`, which every value of utf8only goes with.
    if kind is DatasetKind.FILESYSTEM:
        rows[0]["utf8only"], rows[1]["utf8only"] = rows[1]["utf8only"], rows[0]["utf8only"]
    return rows


def read_back(dataset_names: list[str], properties: list[str]) -> dict[str, dict[str, list[str]]]:
    """The value and the source of each property of each dataset."""
    columns = "name,property,value,source"
    lines = run("zfs", "get", "-Hp", "-o", columns, ",".join(properties), *dataset_names)
    found: dict[str, dict[str, list[str]]] = {name: {} for name in dataset_names}
    for line in lines.splitlines():
        dataset_name, name, *rest = line.split("\t")
        found[dataset_name][name] = rest
    return found


@pytest.fixture(name="parent")
def fixture_parent(lzc: ModuleType, zpool: str) -> str:
    """The name of a new, empty file system."""
    name = f"{zpool}/{uuid.uuid4().hex}"
    lzc.lzc_create(name.encode())
    return name


def create(lzc: ModuleType, name: str, kind: DatasetKind, properties: Mapping[str, int]) -> None:
    own = {"volsize": 16 * MIB, "volmode": VOLMODE_NONE} if kind is DatasetKind.ZVOL else {}
    props = {key.encode(): number for key, number in {**own, **properties}.items()}
    lzc.lzc_create(name.encode(), ds_type=LZC_TYPES[kind], props=props)


def assert_created_as_asked(
    lzc: ModuleType, parent: str, kind: DatasetKind, rows: list[Row]
) -> None:
    asked = {f"{parent}/{place}": row for place, row in enumerate(rows)}
    for name, row in asked.items():
        create(lzc, name, kind, kernel_properties(kind, row))
    found = read_back([*asked], sorted(creation_properties(kind)))
    mutable = mutable_properties(kind)
    for name, row in asked.items():
        for key, text in canonical_properties(kind, row).items():
            value, source = found[name][key]
            assert value == text, key
            # 16 KiB is the default volblocksize: zfs does not say that it was asked for.
            assert source in ({"local"} if key in mutable else {"-", "default"}), key


def test_every_value_of_every_property_is_what_zfs_calls_it(lzc: ModuleType, parent: str) -> None:
    """rules.md C2: the kernel's numbers for a new dataset."""
    kind = DatasetKind.FILESYSTEM
    assert_created_as_asked(lzc, parent, kind, rows_of(kind))


def test_values_of_a_zvol_are_what_zfs_calls_them(lzc: ModuleType, parent: str) -> None:
    """Every value but those of compression, which has one table for both kinds."""
    kind = DatasetKind.ZVOL
    assert_created_as_asked(lzc, parent, kind, rows_of(kind)[:FEW_ROWS])


def test_canonical_value_is_one_that_zfs_sets(lzc: ModuleType, parent: str) -> None:
    kind = DatasetKind.FILESYSTEM
    mutable = mutable_properties(kind)
    rows = {
        f"{parent}/{place}": {
            key: text for key, text in canonical_properties(kind, row).items() if key in mutable
        }
        for place, row in enumerate(rows_of(kind)[:FEW_ROWS])
    }
    for name, row in rows.items():
        create(lzc, name, kind, {})
        run("zfs", "set", *(f"{key}={text}" for key, text in row.items()), name)
    found = read_back([*rows], sorted(mutable))
    for name, row in rows.items():
        assert {key: found[name][key] for key in row} == {
            key: [text, "local"] for key, text in row.items()
        }


def test_kernel_checks_less_than_the_table(lzc: ModuleType, parent: str) -> None:
    """Why the table is strict, and why a clone takes nothing that is fixed (rules.md A8)."""
    create(lzc, f"{parent}/f", DatasetKind.FILESYSTEM, {"recordsize": 1234})
    assert read_back([f"{parent}/f"], ["recordsize"])[f"{parent}/f"]["recordsize"][0] == "1234"

    create(lzc, f"{parent}/z", DatasetKind.ZVOL, {"volblocksize": 8 * KIB})
    lzc.lzc_snapshot([f"{parent}/z@s".encode()])
    props = {b"volblocksize": 4 * KIB, b"volmode": VOLMODE_NONE}
    lzc.lzc_clone(f"{parent}/c".encode(), f"{parent}/z@s".encode(), props)
    assert read_back([f"{parent}/c"], ["volblocksize"])[f"{parent}/c"]["volblocksize"][0] == "8192"


ASHIFT = 12
LAYOUTS: Mapping[str, tuple[list[str], int]] = {
    "disk": ([], 1),
    "mirror": (["mirror"], 2),
    "raidz1": (["raidz1"], 3),
    "raidz2": (["raidz2"], 5),
    "draid1": (["draid1:2d:4c:1s"], 4),
}


@pytest.fixture(name="layout", params=LAYOUTS, scope="module")
def fixture_layout(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of a pool of one layout on sparse files; gone afterwards."""
    words, count = LAYOUTS[request.param]
    name = f"e2e-{uuid.uuid4().hex[:12]}"
    folder = tmp_path_factory.mktemp("vdevs")
    files = [folder / str(number) for number in range(count)]
    for file in files:
        with file.open("wb") as vdev:
            vdev.truncate(4 * GIB)
    options = ["-o", f"ashift={ASHIFT}", "-O", "mountpoint=none"]
    run("zpool", "create", *options, name, *words, *map(str, files))
    try:
        yield name
    finally:
        run("udevadm", "settle")
        run("zpool", "destroy", "-f", name)
        for file in files:
            file.unlink()


def parity_vdevs_of(zpool: str) -> list[ParityVdev]:
    """What `zpool status` shows; `zpool get` finds no dRAID vdev by the name that it shows."""
    pool = json.loads(run("zpool", "status", "-j", zpool))["pools"][zpool]
    found = [
        parity_vdev(name, ashift=ASHIFT, child_count=len(vdev.get("vdevs", {})))
        for name, vdev in pool["vdevs"][zpool]["vdevs"].items()
    ]
    return [vdev for vdev in found if vdev is not None]


def reserved_bytes(zpool: str, volsize_bytes: int, *options: str) -> int:
    """What `zfs` itself reserves for a new thick zvol."""
    name = f"{zpool}/{uuid.uuid4().hex}"
    run("zfs", "create", "-V", str(volsize_bytes), "-o", "volmode=none", *options, name)
    reserved = int(run("zfs", "get", "-Hp", "-o", "value", "refreservation", name))
    destroy(name)
    return reserved


def destroy(name: str) -> None:
    """Destroy a zvol that is new: the kernel's own look at it keeps it busy for a moment."""
    for _ in range(DESTROY_ATTEMPTS):
        done = subprocess.run(["zfs", "destroy", name], capture_output=True, check=False)
        if done.returncode == 0:
            return
        run("udevadm", "settle")
    pytest.fail(f"{name} stays busy: {done.stderr.decode()}")


@pytest.mark.parametrize(
    ("volsize_bytes", "volblocksize_bytes"),
    [(MIB, 16 * KIB), (64 * MIB, 4 * KIB), (GIB + MIB, 16 * KIB), (GIB, 128 * KIB)],
)
def test_refreservation_is_what_zfs_reserves(
    layout: str, volsize_bytes: int, volblocksize_bytes: int
) -> None:
    vdevs = parity_vdevs_of(layout)
    assert len(vdevs) == ("raid" in run("zpool", "status", layout))
    ours = refreservation_bytes(volsize_bytes, volblocksize_bytes=volblocksize_bytes, vdevs=vdevs)
    assert ours == reserved_bytes(layout, volsize_bytes, "-o", f"volblocksize={volblocksize_bytes}")


@pytest.mark.parametrize("copies", [1, 2])
def test_refreservation_holds_a_zvol_that_is_written_in_full(
    lzc: ModuleType, layout: str, copies: int
) -> None:
    """rules.md A13: also with `copies`, for which zfs itself reserves too little."""
    name, volsize_bytes, volblocksize_bytes = f"{layout}/full{copies}", 4 * MIB, 8 * KIB
    ours = refreservation_bytes(
        volsize_bytes,
        volblocksize_bytes=volblocksize_bytes,
        copies=copies,
        vdevs=parity_vdevs_of(layout),
    )
    props = {b"volsize": volsize_bytes, b"volblocksize": volblocksize_bytes, b"copies": copies}
    lzc.lzc_create(name.encode(), ds_type="zvol", props={**props, b"refreservation": ours})
    run("udevadm", "settle")
    with Path("/dev/zvol", name).open("r+b", buffering=0) as disk:
        disk.write(os.urandom(volsize_bytes))
        os.fsync(disk.fileno())
    run("zpool", "sync", layout)
    referenced = int(run("zfs", "get", "-Hp", "-o", "value", "referenced", name))
    assert copies * volsize_bytes < referenced <= ours
    if copies > 1:
        options = ["-o", f"volblocksize={volblocksize_bytes}", "-o", f"copies={copies}"]
        assert reserved_bytes(layout, volsize_bytes, *options) < referenced


def test_record_of_the_largest_size_is_kept(lzc: ModuleType, parent: str) -> None:
    dataset = Dataset(
        "v/a", "0123456789abcdef", DatasetKind.FILESYSTEM, GIB, is_thick=False, created_ns=1
    )
    spare = MAX_PARTS * MAX_PART_BYTES - len(encode_dataset(dataset)[DATASET_PROPERTY])
    largest = replace(dataset, user_properties={"a": "x" * (spare - len('"a":""'))})
    parts = encode_dataset(largest)
    assert [len(part) for part in parts.values()] == [MAX_PART_BYTES] * MAX_PARTS
    name = f"{parent}/record"
    lzc.lzc_create(
        name.encode(), props={key.encode(): part.encode() for key, part in parts.items()}
    )
    found = {key: value for key, (value, _) in read_back([name], list(parts))[name].items()}
    assert found == parts
    assert parse_dataset(found[DATASET_PROPERTY], found, name="v/a") == largest


def test_part_of_a_record_cannot_be_longer(lzc: ModuleType, parent: str) -> None:
    props = {DATASET_PROPERTY.encode(): b"x" * (MAX_PART_BYTES + 1)}
    with pytest.raises(lzc.exceptions.ZFSError) as caught:
        lzc.lzc_create(f"{parent}/long".encode(), props=props)
    assert caught.value.errno == errno.E2BIG
