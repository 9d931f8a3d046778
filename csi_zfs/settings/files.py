"""Reads a settings file: its language is told by its suffix."""

from pathlib import Path

from csi_zfs.settings.document import Document
from csi_zfs.settings.problems import SettingsError
from csi_zfs.settings.toml_documents import parse_toml
from csi_zfs.settings.yaml_documents import parse_yaml

MAX_FILE_BYTES = 256 * 1024

_PARSERS = {".toml": parse_toml, ".yaml": parse_yaml, ".yml": parse_yaml}


def read_document(path: Path) -> Document:
    """Read a TOML or YAML file, by its suffix; raises `SettingsError` where it is neither."""
    source = str(path)
    parse = _PARSERS.get(path.suffix)
    if parse is None:
        raise SettingsError.of_file(source, f"its name must end in {', '.join(_PARSERS)}")
    text = _read_text(path)
    try:
        return parse(text, source)
    except RecursionError as exc:
        raise SettingsError.of_file(source, "is nested too deeply") from exc


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as exc:
        raise SettingsError.of_file(str(path), f"cannot be read: {exc.strerror}") from exc
    if len(data) > MAX_FILE_BYTES:
        raise SettingsError.of_file(str(path), f"has more than {MAX_FILE_BYTES} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as exc:
        line = data.count(b"\n", 0, exc.start) + 1
        raise SettingsError.of_file(str(path), "is not UTF-8 text", line=line) from exc
