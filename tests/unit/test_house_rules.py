"""House rules that no linter knows, held for the whole of csi_zfs."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "csi_zfs"
GENERATED = PACKAGE / "rpc" / "generated"
ENVIRONMENT_OWNER = PACKAGE / "settings" / "environment.py"
MODULE_LINES = 400
FUNCTION_LINES = 50
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def sources() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if GENERATED not in path.parents)


def uses_of(module: str, names: set[str], tree: ast.AST) -> Iterator[int]:
    """Lines that use one of a module's names, as `module.name` or by `from module import name`."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=owner), attr=name):
                if owner == module and name in names:
                    yield node.lineno
            case ast.ImportFrom(module=owner, names=aliases):
                if owner == module and any(alias.name in names for alias in aliases):
                    yield node.lineno


def keywords_in(tree: ast.AST) -> Iterator[ast.keyword]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from node.keywords


def breaches(path: Path, text: str) -> Iterator[str]:
    """Each breach of the house rules in a module, as `line: words`."""
    tree = ast.parse(text, filename=str(path))
    if path != ENVIRONMENT_OWNER:
        for line in uses_of("os", ENVIRONMENT, tree):
            yield f"{line}: only settings/environment.py reads the environment"
    for line in uses_of("shutil", {"rmtree"}, tree):
        yield f"{line}: nothing is deleted recursively"
    for keyword in keywords_in(tree):
        if keyword.arg == "preexec_fn":
            yield f"{keyword.value.lineno}: preexec_fn makes CPython fork with gRPC's threads"
        if keyword.arg == "shell":
            yield f"{keyword.value.lineno}: no shell starts our child processes"
    yield from oversized(tree, text)


def oversized(tree: ast.AST, text: str) -> Iterator[str]:
    if (lines := len(text.splitlines())) > MODULE_LINES:
        yield f"1: the module has {lines} lines, more than {MODULE_LINES}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        if lines > FUNCTION_LINES:
            yield f"{node.lineno}: {node.name} has {lines} lines, more than {FUNCTION_LINES}"


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_module_keeps_the_house_rules(path: Path) -> None:
    assert list(breaches(path, path.read_text(encoding="utf-8"))) == []


def test_sources_are_found_without_generated_code() -> None:
    assert PACKAGE / "domain" / "errors.py" in sources()
    assert all("generated" not in path.parts for path in sources())


@pytest.mark.parametrize(
    "text",
    [
        "import os\nos.environ['HOME']",
        "import os\nos.getenv('HOME')",
        "from os import environ",
        "import shutil\nshutil.rmtree('/x')",
        "from shutil import rmtree",
        "run(command, preexec_fn=start)",
        "run(command, shell=True)",
        "run(command, shell=wanted)",
        "pass\n" * (MODULE_LINES + 1),
        "def long():\n" + "    pass\n" * FUNCTION_LINES,
    ],
)
def test_breach_is_found(text: str) -> None:
    assert len(list(breaches(PACKAGE / "domain" / "planted.py", text))) == 1


def test_owner_may_read_the_environment() -> None:
    assert list(breaches(ENVIRONMENT_OWNER, "import os\nos.environ['HOME']")) == []


def test_largest_allowed_module_and_function_are_no_breach() -> None:
    function = "def longest():\n" + "    pass\n" * (FUNCTION_LINES - 1)
    text = function + "pass\n" * (MODULE_LINES - FUNCTION_LINES)
    assert list(breaches(PACKAGE / "domain" / "planted.py", text)) == []
