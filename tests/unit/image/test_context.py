import re
import subprocess
from pathlib import Path

from e2e.image.context import CONTEXT, DOCKERFILE, context_files, staged
from tests.support.leftovers import files_below

CHECKOUT = Path(__file__).parents[3]
FILES = {
    ".gitignore": "__pycache__/\n",
    DOCKERFILE: "FROM debian\n",
    "csi_zfs/__pycache__/app.pyc": "compiled\n",
    "csi_zfs/app.py": "pass\n",
    "docs/page.md": "words\n",
}


def test_context_is_what_lies_below_its_names_and_nothing_that_begins_alike() -> None:
    files = ["LICENSE", "LICENSE.old", "csi_zfs/a/b.py", "csi_zfs.py", "docs/page.md"]
    assert context_files(files) == ["LICENSE", "csi_zfs/a/b.py"]


def test_staged_files_are_copies_of_what_git_would_keep(tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    with staged(tmp_path) as context:
        (tmp_path / "csi_zfs/app.py").write_text("other\n")
        found = {path.relative_to(context): path.read_text() for path in files_below(context)}
    assert found == {Path(name): FILES[name] for name in (DOCKERFILE, "csi_zfs/app.py")}
    assert not context.exists()


def test_an_engine_sees_the_same_context() -> None:
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert sorted(line[1:] for line in lines if line.startswith("!")) == sorted(CONTEXT)


def test_dockerfile_copies_all_of_the_context_and_nothing_else() -> None:
    copied = re.findall(r"(?m)^COPY (?!--)(.+) \S+$", (CHECKOUT / DOCKERFILE).read_text())
    assert sorted(" ".join(copied).split()) == sorted(CONTEXT)
