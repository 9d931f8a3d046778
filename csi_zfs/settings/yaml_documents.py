"""YAML, with lines, and strict: every key once, text for keys, no aliases, only plain types."""

from collections.abc import Callable

import yaml
from yaml.constructor import ConstructorError
from yaml.reader import ReaderError

from csi_zfs.settings.document import Document, Keys
from csi_zfs.settings.problems import SettingsError

_TAG = "tag:yaml.org,2002:"
_SCALARS: dict[str, Callable[[str], object]] = {
    f"{_TAG}str": str,
    f"{_TAG}int": int,
    f"{_TAG}float": float,
    f"{_TAG}bool": {"true": True, "false": False}.__getitem__,
    f"{_TAG}null": lambda _: None,
}


def parse_yaml(text: str, source: str) -> Document:
    """Read YAML; raises `SettingsError` with the line."""
    try:
        root = yaml.compose(text, Loader=_Loader)
        lines: dict[Keys, int] = {}
        values = {} if root is None else _Reader(lines).value_of(root, ())
    except ReaderError as exc:
        line = text.count("\n", 0, exc.position) + 1
        raise SettingsError.of_file(source, f"is not YAML: {exc.reason}", line=line) from exc
    except yaml.MarkedYAMLError as exc:
        line_of_mark = exc.problem_mark.line + 1 if exc.problem_mark else None
        words = ": ".join(filter(None, (exc.context, exc.problem)))
        raise SettingsError.of_file(source, f"is not YAML: {words}", line=line_of_mark) from exc
    except (ValueError, OverflowError) as exc:  # PyYAML's scanner: characters beyond Unicode
        raise SettingsError.of_file(source, f"is not YAML: {exc}") from exc
    if not isinstance(values, dict):
        raise SettingsError.of_file(source, "must hold settings by name, such as `pools: [...]`")
    return Document(source, values, lines)


class _Loader(yaml.SafeLoader):
    """Composes nodes without aliases, by which a few lines could stand for gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call] # in the stubs
            raise ConstructorError(None, None, "aliases are not allowed here", mark)
        return super().compose_node(parent, index)


class _Reader:
    """Turns nodes into values; PyYAML's own constructors know neither lines nor repeated keys."""

    def __init__(self, lines: dict[Keys, int]) -> None:
        self._lines = lines

    def value_of(self, node: yaml.Node, keys: Keys) -> object:
        self._lines.setdefault(keys, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._table_of(node, keys)
        if isinstance(node, yaml.SequenceNode):
            return [self.value_of(item, (*keys, index)) for index, item in enumerate(node.value)]
        return _scalar_of(node)

    def _table_of(self, node: yaml.MappingNode, keys: Keys) -> dict[str, object]:
        table: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.tag != f"{_TAG}str" or not isinstance(key, str):
                raise _refused(key_node, "a name must be text")
            if key in table:
                raise _refused(key_node, f"{key[:64]!r} is given twice")
            self._lines[(*keys, key)] = key_node.start_mark.line + 1
            table[key] = self.value_of(value_node, (*keys, key))
        return table


def _scalar_of(node: yaml.Node) -> object:
    try:
        return _SCALARS[node.tag](node.value)
    except (KeyError, ValueError):
        raise _refused(
            node, "write plain numbers, true or false, and text in quotes where it looks like more"
        ) from None


def _refused(node: yaml.Node, words: str) -> ConstructorError:
    return ConstructorError(None, None, words, node.start_mark)
