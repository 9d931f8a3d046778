"""Generate typed Python code from the interfaces in this folder.

The result depends only on the .proto files and on the installed versions of grpcio-tools and
mypy-protobuf, so the code that is checked in can be compared byte for byte with a fresh run.
"""

import argparse
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

# protoc names a Python module after the file's path, so this is also the package to import from.
PACKAGE = "csi_zfs/rpc/generated"


def protoc_arguments(output: Path) -> list[str]:
    """Return the arguments of protoc that put the package below `output`."""
    # Found through the interpreter, because its scripts need not be on PATH.
    scripts = Path(sysconfig.get_path("scripts"))
    # Our servers are synchronous, and RPCs that they leave out answer UNIMPLEMENTED.
    servicer_style = "only_sync,generate_concrete_servicer_stubs"
    interfaces = sorted(path.name for path in (PROJECT / "proto").glob("*.proto"))
    return [
        f"-I{PACKAGE}=proto",
        f"--plugin=protoc-gen-mypy={scripts / 'protoc-gen-mypy'}",
        f"--plugin=protoc-gen-mypy_grpc={scripts / 'protoc-gen-mypy_grpc'}",
        f"--python_out={output}",
        f"--grpc_python_out={output}",
        f"--mypy_out=quiet:{output}",
        f"--mypy_grpc_out=quiet,{servicer_style}:{output}",
        *(f"{PACKAGE}/{interface}" for interface in interfaces),
    ]


def generate(output: Path) -> int:
    """Write the generated modules below `output`; return the exit code of protoc."""
    command = [sys.executable, "-m", "grpc_tools.protoc", *protoc_arguments(output.resolve())]
    return subprocess.run(command, cwd=PROJECT, check=False).returncode


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate into the directory named on the command line, or into this checkout."""
    parser = argparse.ArgumentParser(description="Generate Python code from proto/*.proto.")
    parser.add_argument(
        "output",
        nargs="?",
        type=Path,
        default=PROJECT,
        help=f"existing directory that gets {PACKAGE}/ (default: this checkout)",
    )
    return generate(parser.parse_args(arguments).output)


if __name__ == "__main__":
    sys.exit(main())
