"""The values of the Helm chart, from schema and defaults: makes docs/reference/values.md."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent.parent / "charts" / "csi-zfs"
_DEFINITION = "#/definitions/"
_MISSING = object()

Schema = Mapping[str, Any]


def rows() -> Iterator[tuple[str, str, str, str]]:
    """Each value: its path, what may be written, its default, what it means."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    yield from _rows(schema, values, "", schema["definitions"])


def _rows(
    schema: Schema, defaults: object, place: str, definitions: Schema
) -> Iterator[tuple[str, str, str, str]]:
    for name, given in schema.get("properties", {}).items():
        child = _resolved(given, definitions)
        path = f"{place}.{name}" if place else name
        default = defaults.get(name, _MISSING) if isinstance(defaults, dict) else _MISSING
        if child.get("properties"):
            yield f"**`{path}`**", "", "", child.get("description", "")
            yield from _rows(child, default, path, definitions)
            continue
        yield f"`{path}`", _form(child, definitions), _shown(default), child.get("description", "")
        # What several lists have in common is explained at the first, which has a path of its own.
        if "$ref" not in child.get("items", {}) or not place:
            items = _resolved(child.get("items", {}), definitions)
            yield from _rows(items, _MISSING, f"{path}[]", definitions)


def _resolved(schema: Schema, definitions: Schema) -> Schema:
    """A schema with what it refers to; its own words go over those."""
    references = [schema, *schema.get("allOf", [])]
    names = [one["$ref"].removeprefix(_DEFINITION) for one in references if "$ref" in one]
    merged: dict[str, Any] = {}
    for name in names:
        merged |= definitions[name]
    return merged | dict(schema)


def _form(schema: Schema, definitions: Schema) -> str:
    if "enum" in schema:
        return ", ".join(schema["enum"])
    if schema.get("additionalProperties") == {"type": "string"}:
        return "map of texts"
    kinds = schema.get("type", "object")
    names = [kinds] if isinstance(kinds, str) else kinds
    words = " or ".join({"string": "text", "array": "list"}.get(name, name) for name in names)
    items = _resolved(schema.get("items", {}), definitions)
    return f"{words} of texts" if items.get("type") == "string" else words


def _shown(default: object) -> str:
    if default is _MISSING:
        return ""
    return "empty" if default in ("", [], {}) else f"`{json.dumps(default)}`"
