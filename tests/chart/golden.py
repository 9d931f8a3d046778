"""The renders that were looked at and found right: whole for no values, else what differs from it.

To accept others: make chart-accept, then read the difference.
"""

from pathlib import Path

import yaml

from tests.chart.cases import CASES, DEFAULT
from tests.chart.helm import Case, Manifest, render

FOLDER = Path(__file__).with_name("golden")
_ABSENT = "absent"


def path_of(name: str) -> Path:
    """The file of a case."""
    return FOLDER / f"{name}.yaml"


def golden_text(case: Case) -> str:
    """What the file of a case has to say."""
    objects = [_stable(item) for item in render(case)]
    if case == DEFAULT:
        return _dump(objects)
    default = [_stable(item) for item in render(DEFAULT)]
    gone = sorted({_name(item) for item in default} - {_name(item) for item in objects})
    return _dump([{_ABSENT: gone}, *(item for item in objects if item not in default)])


def _stable(item: Manifest) -> Manifest:
    """An object without what is made anew by each render."""
    if item["kind"] != "Secret":
        return item
    return item | {"data": dict.fromkeys(item["data"], "made by the chart")}


def _name(item: Manifest) -> str:
    return f"{item['kind']}/{item['metadata']['name']}"


class _Dumper(yaml.SafeDumper):
    """Writes texts of several lines as such."""


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def _dump(objects: list[Manifest]) -> str:
    return yaml.dump_all(objects, Dumper=_Dumper, sort_keys=False, width=120)


def main() -> None:
    """Write every file anew, and remove those of no case."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.yaml"):
        path.unlink()
    for name, case in CASES.items():
        path_of(name).write_text(golden_text(case), encoding="utf-8")


if __name__ == "__main__":
    main()
