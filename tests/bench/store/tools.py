"""The store and the tools beside it: what each takes for the same images, one after the other."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from csi_zfs.cas.header import DEFAULT_CHUNK_BYTES
from csi_zfs.cas.objects.local import LocalObjects
from csi_zfs.cas.objects.local_root import make_local_storage
from csi_zfs.cas.slots import Credential, SlotKind
from csi_zfs.cas.store import make_store
from csi_zfs.system.clock import SystemClock
from tests.bench.store.material import Material
from tests.bench.store.running import Took, run

_SECRET = b"a key of the benchmark, 32 bytes"
_PASSWORD = "benchmark"


class Tool(Protocol):
    """Keeps images in a place of its own."""

    name: str

    def begin(self) -> None:
        """Make the place."""

    def put(self, material: Material) -> Took:
        """Store the image."""

    def put_changed(self, material: Material) -> Took:
        """Store the second version, which is read as a whole."""

    def restore(self, material: Material, target: Path) -> Took:
        """Restore the image."""

    def stored_bytes(self) -> int:
        """What the place takes."""


@dataclass(slots=True)
class OurStore:
    """The chunk store, as a program for each step."""

    directory: Path
    name: str = "csi-zfs"
    manifest_id: str = ""
    stored: int = 0

    def begin(self) -> None:
        """See `Tool`."""
        self.directory.mkdir()
        make_local_storage(self._place)
        self._key_file.write_bytes(_SECRET)
        credential = Credential(SlotKind.KEY, _SECRET)
        storage = LocalObjects(self._place)
        make_store(storage, credential, SystemClock(), chunk_bytes=DEFAULT_CHUNK_BYTES)

    def put(self, material: Material) -> Took:
        """See `Tool`."""
        took, said = self._run("put", str(material.image))
        self.manifest_id = json.loads(said)["manifest"]
        return took

    def put_changed(self, material: Material) -> Took:
        """See `Tool`."""
        return self._run("put", str(material.changed))[0]

    def put_ranges(self, material: Material) -> tuple[Took, int]:
        """Store the second version by its list of changes; returns what that stored, too."""
        words = (str(material.changed), self.manifest_id, json.dumps(material.ranges))
        took, said = self._run("change", *words)
        return took, json.loads(said)["stored_bytes"]

    def restore(self, material: Material, target: Path) -> Took:
        """See `Tool`."""
        return self._run("get", self.manifest_id, str(target))[0]

    def stored_bytes(self) -> int:
        """See `Tool`."""
        return size_of(self._place)

    @property
    def _place(self) -> Path:
        return self.directory / "store"

    @property
    def _key_file(self) -> Path:
        return self.directory / "key"

    def _run(self, command: str, *words: str) -> tuple[Took, str]:
        module = [sys.executable, "-m", "tests.bench.store.client", command]
        return run([*module, str(self._place), str(self._key_file), *words])


@dataclass(slots=True)
class Borg:
    """Borg 1, with chunks of the same fixed size, the same compression, encrypted."""

    directory: Path
    name: str = "borg"

    def begin(self) -> None:
        """See `Tool`."""
        self.directory.mkdir()
        self._run("init", "--encryption=repokey-blake2", self._place)

    def put(self, material: Material) -> Took:
        """See `Tool`."""
        return self._create("image", material.image)

    def put_changed(self, material: Material) -> Took:
        """See `Tool`."""
        return self._create("changed", material.changed)

    def restore(self, material: Material, target: Path) -> Took:
        """See `Tool`."""
        script = 'mkdir "$2" && cd "$2" && exec borg extract --sparse "$1::image-1"'
        return run(["sh", "-c", script, "sh", self._place, target], self._environment)[0]

    def stored_bytes(self) -> int:
        """See `Tool`."""
        return size_of(self._place)

    @property
    def _place(self) -> Path:
        return self.directory / "repository"

    @property
    def _environment(self) -> dict[str, str]:
        return {"BORG_PASSPHRASE": _PASSWORD, "BORG_BASE_DIR": str(self.directory / "base")}

    def _create(self, name: str, image: Path) -> Took:
        count = len(self._run("list", "--short", self._place)[1].split()) + 1
        options = [f"--chunker-params=fixed,{DEFAULT_CHUNK_BYTES}", "--compression=zstd,1"]
        # Without the cache of unchanged files: an image in use is read as a whole.
        options += ["--sparse", "--files-cache=disabled"]
        return self._run("create", *options, f"{self._place}::{name}-{count}", image)[0]

    def _run(self, *words: str | Path) -> tuple[Took, str]:
        return run(["borg", *words], self._environment)


@dataclass(slots=True)
class Restic:
    """Restic, as it comes; it cuts by content only."""

    directory: Path
    name: str = "restic"

    def begin(self) -> None:
        """See `Tool`."""
        self.directory.mkdir()
        self._run("init")

    def put(self, material: Material) -> Took:
        """See `Tool`."""
        return self._run("backup", "--force", material.image)

    def put_changed(self, material: Material) -> Took:
        """See `Tool`."""
        return self._run("backup", "--force", material.changed)

    def restore(self, material: Material, target: Path) -> Took:
        """See `Tool`: to nowhere, since this one would not make it sparse."""
        script = 'exec restic --repo "$1" --quiet dump --path "$2" latest "$2" >/dev/null'
        command = ["sh", "-c", script, "sh", str(self._place), str(material.image)]
        return run(command, self._environment)[0]

    def stored_bytes(self) -> int:
        """See `Tool`."""
        return size_of(self._place)

    @property
    def _place(self) -> Path:
        return self.directory / "repository"

    @property
    def _environment(self) -> dict[str, str]:
        return {"RESTIC_PASSWORD": _PASSWORD, "XDG_CACHE_HOME": str(self.directory / "cache")}

    def _run(self, *words: str | Path) -> Took:
        return run(["restic", "--repo", self._place, "--quiet", *words], self._environment)[0]


_OTHERS: dict[str, Callable[[Path], Tool]] = {"borg": Borg, "restic": Restic}


def installed(directory: Path) -> tuple[list[Tool], list[str]]:
    """The other tools that this machine has, and the names of those that it has not."""
    there = {name: tool for name, tool in _OTHERS.items() if shutil.which(name)}
    tools = [tool(directory / name) for name, tool in there.items()]
    return tools, [name for name in _OTHERS if name not in there]


def size_of(directory: Path) -> int:
    """The bytes of all files below a directory."""
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
