"""The rules that keep data alive, and which test keeps which: makes tests/README.md.

A test says in its docstring which rules it covers ("rules.md A4").
"""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PATH = ROOT / "tests" / "README.md"

RULES = {
    "A1": "Targets are removed by rmdir, or by unlink of an empty file, once nothing is mounted.",
    "A2": "Exactly the dataset of this name and uid is deleted; what is beside it stays.",
    "A3": "A snapshot outlives its volume; all orders of deleting end with OK and nothing left.",
    "A4": "Only a device that is marked blank and proved blank is formatted.",
    "A5": '"Not found" is proved by a second, positive look on a healthy pool.',
    "A6": "What is mounted at the end is what was asked for, or the call fails.",
    "A7": "A device is opened by identity: openable, of the right size and number.",
    "A8": "A clone keeps its origin's properties and has its own size.",
    "A9": "Sizes are whole MiB, at least what the file system needs, within the limit, and true.",
    "A10": "Expanding is two steps that can each be repeated; shrinking changes nothing.",
    "A11": "XFS clones mount beside their origin; a file has at most one loop device.",
    "A12": "Nothing is called ready or healthy before it was read back.",
    "A13": "Admission counts what was promised; what does not fit changes nothing.",
    "A14": "The chart owns no CRDs; an uninstallation touches no data, and asks before.",
    "B1": "A repeated call gives the result of one; other arguments are ALREADY_EXISTS.",
    "B2": "A repeated CreateSnapshot has the same creation time; its size is never 0.",
    "B3": "Deleting what does not exist is OK, and only on a typed not-found.",
    "B4": "What is busy says who holds it; retries are bounded.",
    "B5": "Unpublish and unstage depend on nothing but the node.",
    "B6": "Publish stages again what was lost; stage repairs what is half made.",
    "B7": "A create that was cancelled, or comes after the delete, leaks nothing.",
    "B8": "No malformed object or request stops the process.",
    "B9": "Answers come within the sidecars' deadlines; for longer work, repeats are ABORTED.",
    "B10": "Codes that callers take as final are never given for what may have happened.",
    "C1": "Ids, tokens and paths have one grammar; targets lie below the kubelet's directory.",
    "C2": "Parameters are an allow-list.",
    "C3": "Mount flags are an allow-list.",
    "C4": "Secrets appear nowhere.",
    "C5": "Encryption keys are never in argv, environment, logs or on disk.",
    "C6": "A raw disk is never probed for a format (what reads disk images comes later).",
    "C9": "The socket is private, messages and threads are bounded, calls have deadlines.",
    "C10": "In a cluster each component has only what it needs of the API and of the machine.",
    "D": "What the neighbours (csi-sanity, sidecars, gRPC, the kernel) are known to do.",
}
NOT_YET = {
    "C7": "comes with layers and archives",
    "C8": "comes with the chunk store",
}
HEAD = """\
<!-- Made from the tests by `make docs`: name a rule in a test's docstring instead. -->
# Tests

| folder | what it holds | against |
| --- | --- | --- |
| `unit` | one unit each, in milliseconds | fakes; the kernel where the unit is about it |
| `contract` | one suite for each protocol | the fake and the real thing |
| `property` | state machines and random requests (Hypothesis) | fakes; a real pool |
| `crash` | a stop before and after every effect; `kill -9` | fakes; the real driver |
| `sanity` | csi-sanity | the fakes in `make test`; the real driver in `make sanity` |
| `chart` | what the Helm chart renders, refuses and may do | Helm; an API server of Secrets |
| `bench` | figures, printed, never asserted | the real driver |
| `support` | fakes, builders, clients; never shipped | |
| `data` | a store of each version of the formats, kept | made by `support/store_specimen.py` |
| `../e2e/zfs` | what needs real OpenZFS (`make e2e-zfs`) | the kernel of a virtual machine |
| `../e2e/s3` | what only a real S3 server shows (`make e2e-s3`) | versitygw |
| `../e2e/cluster` | what needs Kubernetes (`make e2e-cluster`) | a real cluster |

The header of `make test` says which tiers run here. What needs root is marked `root`, what needs Go
`go`. A test that may log at WARNING or above says so with the marker `expected_logs`.

## Which test keeps which rule
"""
_MENTION = re.compile(r"rules\.md\s+((?:[A-D]\d*)(?:(?:,\s*|\s+and\s+)(?:[A-D]\d*))*)")


def mentions_by_rule() -> dict[str, list[str]]:
    """The tests that name each rule, as `path::test`."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in _test_modules():
        for name, words in _documented(ast.parse(path.read_text(encoding="utf-8"))):
            for mention in _MENTION.findall(words):
                for rule in re.findall(r"[A-D]\d*", mention):
                    found[rule].append(f"{_shown(path)}{name}")
    return found


def _test_modules() -> list[Path]:
    folders = (ROOT / "tests", ROOT / "e2e")
    return [path for folder in folders for path in sorted(folder.rglob("test_*.py"))]


def _shown(path: Path) -> Path:
    """Relative to this folder's README, or to the checkout for what lies outside of it."""
    tests = ROOT / "tests"
    return path.relative_to(tests if path.is_relative_to(tests) else ROOT)


def _documented(module: ast.Module) -> Iterator[tuple[str, str]]:
    """The module, its classes and its tests, with their docstrings."""
    yield "", ast.get_docstring(module) or ""
    for node in ast.walk(module):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield f"::{node.name}", ast.get_docstring(node) or ""


def readme() -> str:
    """The text of tests/README.md."""
    found = mentions_by_rule()
    lines = ["| rule | what it says | kept by |", "| --- | --- | --- |"]
    for rule, words in RULES.items():
        tests = "<br>".join(f"`{test}`" for test in dict.fromkeys(found.get(rule, [])))
        lines.append(f"| {rule} | {words} | {tests} |")
    later = [f"- {rule} {why}." for rule, why in NOT_YET.items()]
    return "\n".join([HEAD.rstrip("\n"), *lines, "", "Rules of rooms to come:", "", *later, ""])
