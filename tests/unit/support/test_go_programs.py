"""Where programs in Go are kept, and what is said where one cannot be built."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import machine
from tests.support.go_programs import CannotBuildError, GoProgram

HELM = GoProgram("helm.sh/helm/v3/cmd/helm", "v3.22.0")


@pytest.fixture
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Go of the test's own, first on the path: it installs a script, or fails as it is told."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "go"
    program.write_text(
        f"#!{sys.executable}\n"
        "import os, pathlib, sys\n"
        "told = pathlib.Path(__file__).with_name('fails')\n"
        "if sys.argv[1] == 'install':\n"
        "    if told.exists():\n"
        "        sys.exit('no such module')\n"
        "    pathlib.Path(os.environ['GOBIN'], 'helm').write_text(sys.argv[2])\n"
        "else:\n"
        "    print('go1.99')\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


@pytest.fixture(autouse=True)
def forget_which_go_there_is() -> Iterator[None]:
    machine.why_no_go.cache_clear()
    yield
    machine.why_no_go.cache_clear()


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"CSI_ZFS_CACHE": "/big", "HOME": "/home/me"}, "/big"),
        ({"XDG_CACHE_HOME": "/cache", "HOME": "/home/me"}, "/cache/csi-zfs"),
        ({"HOME": "/home/me"}, "/home/me/.cache/csi-zfs"),
    ],
)
def test_cache_is_the_users_unless_one_is_named(environ: dict[str, str], expected: str) -> None:
    directory = HELM.cache_directory(environ, "go1.26.8")
    assert directory == Path(expected) / "helm-v3.22.0-go1.26.8"


@pytest.mark.usefixtures("go")
def test_program_is_built_once(tmp_path: Path) -> None:
    environ = {"CSI_ZFS_CACHE": str(tmp_path / "cache")}
    program = HELM.ensure(environ)
    assert program.read_text() == "helm.sh/helm/v3/cmd/helm@v3.22.0"
    program.write_text("kept")
    assert HELM.ensure(environ).read_text() == "kept"
    assert [path.name for path in program.parent.iterdir()] == ["helm"]


def test_build_that_fails_leaves_nothing_and_says_why(tmp_path: Path, go: Path) -> None:
    go.with_name("fails").touch()
    environ = {"CSI_ZFS_CACHE": str(tmp_path / "cache")}
    with pytest.raises(CannotBuildError, match="no such module"):
        HELM.ensure(environ)
    assert not list((tmp_path / "cache" / "helm-v3.22.0-go1.99").iterdir())


def test_machine_without_go_says_where_go_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert shutil.which("go") is None
    with pytest.raises(CannotBuildError, match="helm needs Go: see https://go"):
        HELM.ensure({})
