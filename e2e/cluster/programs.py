"""Building the programs, each once per key: a new version of one builds that one again."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from e2e.cluster import go
from e2e.cluster.versions import Program
from e2e.cluster.wrapper import wrapper
from e2e.vm.cache import Kind
from e2e.vm.progress import step
from e2e.vm.recipe import digest
from tests.support.leftovers import remove_files


@dataclass(frozen=True, slots=True)
class Built:
    """A program, and where it is or will be."""

    program: Program
    directory: Path

    @property
    def path(self) -> Path:
        """The program itself."""
        return self.directory / self.program.name


def wanted_program(program: Program, cache: Path, go_version: str) -> Built:
    """Where a program is, or will be when it is built."""
    return Built(program, Kind(cache, program.name).path(key_of(program, go_version)))


def key_of(program: Program, go_version: str) -> str:
    """What tells one build of a program from another one."""
    # The wrapper of a go.mod with one replacement of each kind stands for how wrappers are made.
    replacements = "module m\nreplace a => ./staging/src/k8s.io/a\nreplace b => ../b\n"
    return digest(
        [
            *(go_version, repr(go.FLAGS), repr(go.VARIABLES), *_command(program, Path("out"))),
            *(str(program.module), wrapper(replacements, program.module)),
        ]
    )


def ensure_programs(programs: Iterable[Program], cache: Path) -> dict[str, Path]:
    """The programs by name, built first where they are not in the cache.

    Raises:
        CannotBuildError: one cannot be built; those before it stay.
    """
    go_version = go.version()
    found = {}
    for program in programs:
        built = wanted_program(program, cache, go_version)
        Kind(cache, program.name).ensure(built.directory, partial(_build, program))
        found[program.name] = built.path
    return found


def _build(program: Program, work: Path) -> None:
    log = Kind(work.parent, program.name).log
    with step(f"building {program.name} {program.module.version}"):
        source = go.download(program.module)
        module = work / "module"
        module.mkdir()
        go_mod = (source / "go.mod").read_text(encoding="utf-8")
        (module / "go.mod").write_text(wrapper(go_mod, program.module), encoding="utf-8")
        shutil.copyfile(source / "go.sum", module / "go.sum")
        go.build(_command(program, work / program.name), module, log)
        remove_files(module)


def _command(program: Program, output: Path) -> list[str]:
    link = " ".join(["-s -w", *(f"-X {variable}" for variable in program.variables)])
    # vet would take longer than compiling what it looks at.
    verb = ["test", "-c", "-vet=off"] if program.is_test else ["build"]
    return [*verb, "-ldflags", link, "-o", str(output), program.package]
