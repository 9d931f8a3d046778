"""Taking over datasets that somebody made by hand below the home, or brought there by `zfs rename`.

They get a record, and a file system the mount point of all others; their data is not touched.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

from csi_zfs.datasets.adoption import NotAdoptableError
from csi_zfs.datasets.api import Dataset, DatasetBusyError, DatasetKind
from csi_zfs.zfs.command import NativeProperties
from csi_zfs.zfs.devices import ZvolDevices
from csi_zfs.zfs.engine import new_uid
from csi_zfs.zfs.home import Home
from csi_zfs.zfs.outcomes import Found
from csi_zfs.zfs.properties import creation_properties, mutable_properties, property_values
from csi_zfs.zfs.records import DATASET_PROPERTY, encode_dataset

_SIZE = {DatasetKind.ZVOL: "volsize", DatasetKind.FILESYSTEM: "refquota"}
_ASKED = ("type", "creation", "origin", "keystatus", "volmode", "snapdev")
# A zvol shows its bytes alone, and its snapshots none: what it inherits from the home.
_OF_ZVOLS = {"volmode": "dev", "snapdev": "hidden"}
_PLACE = "legacy"
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class LibzfsCoreAdopter:
    """See `DatasetAdopter`.

    Not taken over is what would not work as a volume: a clone, whose origin is not the driver's; an
    encrypted one, whose key is nobody's Secret; one with datasets below it; one without a size.
    """

    home: Home
    native: NativeProperties
    devices: ZvolDevices

    def look(self, name: str) -> Dataset:
        """See `DatasetAdopter`."""
        full_name = self.home.full(name)
        kind = DatasetKind(self._inspected(name, ["type"])["values"]["type"])
        found = self._inspected(name, [*_ASKED, _SIZE[kind], *_kept_of(kind)])
        problem = next(_problems(found, kind, full_name), None)
        if problem is not None:
            raise NotAdoptableError(f"{full_name} {problem}")
        dataset = _dataset_of(name, kind, found)
        self._require_unused(dataset)
        return dataset

    def adopt(self, dataset: Dataset) -> Dataset:
        """See `DatasetAdopter`: the mount point first, the record last."""
        self._require_unused(dataset)
        if dataset.kind is DatasetKind.FILESYSTEM:
            self.native.set(dataset.name, {"mountpoint": _PLACE})
        self.home.change(
            "adopt",
            dataset.name,
            property=DATASET_PROPERTY,
            expected={
                "type": dataset.kind.value,
                "keystatus": "none",
                _SIZE[dataset.kind]: dataset.size_bytes,
            },
            properties={**encode_dataset(dataset)},
        )
        return dataset

    def _inspected(self, name: str, native: list[str]) -> Found:
        return self.home.read("inspect", name, native=[*native])

    def _require_unused(self, dataset: Dataset) -> None:
        """Nobody beside the driver mounts it, or uses its device."""
        if dataset.kind is DatasetKind.FILESYSTEM:
            try:
                self.home.change("require_unmounted", dataset.name)
            except DatasetBusyError as exc:
                full_name = self.home.full(dataset.name)
                msg = f"{full_name} is mounted: run `zfs unmount {full_name}`, or umount"
                raise DatasetBusyError(msg) from exc
            return
        path = self.devices.await_device(self.home.full(dataset.name))
        try:
            # The kernel refuses that to all but the one who mounts it or builds upon it.
            os.close(os.open(path, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError as exc:
            raise DatasetBusyError(f"{dataset.name} is in use: {path}: {exc.strerror}") from exc


def _kept_of(kind: DatasetKind) -> list[str]:
    """What a record keeps of a dataset's own: what can be set, and how a zvol is divided."""
    known = mutable_properties(kind) | ({"volblocksize"} & creation_properties(kind))
    return sorted(known)


def _problems(found: Found, kind: DatasetKind, full_name: str) -> Iterator[str]:
    values = found["values"]
    if values["keystatus"] != "none":
        yield "is encrypted: copy its data into a volume of an encrypted class"
    if values.get("origin"):
        yield f"is a clone of {values['origin']}: run `zfs promote {full_name}`"
    if found["has_children"]:
        yield "has datasets below it: a volume has none, so move them away with `zfs rename`"
    if not values.get(_SIZE[kind]):
        yield f"has no size: run `zfs set refquota=SIZE {full_name}`"
    for name, value in _OF_ZVOLS.items() if kind is DatasetKind.ZVOL else ():
        if values[name] != value:
            yield f"has {name}={values[name]}: run `zfs inherit {name} {full_name}`"


def _dataset_of(name: str, kind: DatasetKind, found: Found) -> Dataset:
    values, size_bytes = found["values"], found["values"][_SIZE[kind]]
    is_thick = values["refreservation"] >= size_bytes
    own = {key for key in _kept_of(kind) if found["own"][key] or key == "volblocksize"}
    if is_thick:
        own.discard("refreservation")
    texts = {key: _text_of(kind, key, values[key]) for key in sorted(own)}
    return Dataset(
        name=name,
        uid=new_uid(),
        kind=kind,
        size_bytes=size_bytes,
        is_thick=is_thick,
        created_ns=values["creation"] * _NS_PER_S,
        properties={key: text for key, text in texts.items() if text is not None},
    )


def _text_of(kind: DatasetKind, name: str, value: object) -> str | None:
    """As records keep it; None for what no class may choose, and so no copy gets."""
    allowed = property_values(kind, name)
    number = allowed.number_of(str(value))
    return None if number is None else allowed.text_of(number)
