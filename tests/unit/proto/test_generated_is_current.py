"""The generated code that is checked in is what proto/generate.py makes of proto/ now."""

import subprocess
import sys
from pathlib import Path

from csi_zfs.rpc.generated import csi_pb2

PROJECT = Path(__file__).resolve().parents[3]
PACKAGE = Path("csi_zfs/rpc/generated")


def _modules(folder: Path) -> dict[str, bytes]:
    files = [*folder.glob("*.py"), *folder.glob("*.pyi")]
    return {file.name: file.read_bytes() for file in files if file.name != "__init__.py"}


def test_generated_code_equals_a_fresh_run(tmp_path: Path) -> None:
    """Otherwise run `make proto`, with the versions that requirements/dev.lock pins."""
    subprocess.run([sys.executable, PROJECT / "proto/generate.py", tmp_path], check=True)

    fresh, checked_in = _modules(tmp_path / PACKAGE), _modules(PROJECT / PACKAGE)
    outdated = {name for name in fresh | checked_in if fresh.get(name) != checked_in.get(name)}

    assert "csi_pb2.py" in fresh
    assert not outdated


def test_generated_code_knows_which_fields_are_secret() -> None:
    """Whoever logs a request relies on this to leave secrets out."""
    fields = csi_pb2.CreateVolumeRequest.DESCRIPTOR.fields_by_name

    assert fields["secrets"].GetOptions().Extensions[csi_pb2.csi_secret]
    assert not fields["name"].GetOptions().Extensions[csi_pb2.csi_secret]
