"""How what a store holds is shown: columns for people, JSON for programs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from csi_zfs.cli.output import print_columns, print_json, time_text
from csi_zfs.domain.sizes import format_size

if TYPE_CHECKING:
    from csi_zfs.cas.api import Manifest
    from csi_zfs.cas.tree_entries import Entry
    from csi_zfs.cas.tree_reports import Problem

_HEADER = ("MANIFEST", "CREATED", "KIND", "SIZE", "DOMAIN", "LABELS")
_LETTERS = {1: "-", 2: "d", 3: "l", 4: "c", 5: "b", 6: "p"}
_BITS = "rwxrwxrwx"


def manifest_document(manifest: "Manifest") -> dict[str, object]:
    """A manifest for programs."""
    root = manifest.root
    return {
        "manifest_id": manifest.manifest_id,
        "kind": root.kind,
        "created": time_text(manifest.created_ns),
        "created_ns": manifest.created_ns,
        "size_bytes": root.size_bytes,
        "chunk_bytes": root.chunk_bytes,
        "domain": manifest.domain,
        "labels": dict(root.labels),
        "parent_id": root.parent_id,
        "tree_digest": root.tree_digest.hex(),
    }


def show_manifests(manifests: Sequence["Manifest"], *, json: bool) -> None:
    """A row for each manifest, or one list."""
    if json:
        print_json([manifest_document(one) for one in manifests])
    else:
        print_columns([_HEADER, *map(_row, manifests)])


def show_manifest(manifest: "Manifest", *, json: bool) -> None:
    """A line for each fact of one manifest, or one object."""
    document = manifest_document(manifest)
    if json:
        print_json(document)
        return
    document["size"] = f"{format_size(manifest.root.size_bytes)} ({manifest.root.size_bytes})"
    document["labels"] = labels_text(manifest.root.labels)
    names = ("manifest_id", "kind", "created", "size", "domain", "labels", "parent_id")
    print_columns([(name.replace("_", " "), str(document[name]) or "none") for name in names])


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels in one line."""
    return printable(" ".join(f"{name}={value}" for name, value in sorted(labels.items())))


def path_text(path: bytes) -> str:
    """A path for people."""
    return printable(path.decode(errors="backslashreplace"))


def printable(text: str) -> str:
    """A text in which what cannot be printed is escaped, and so cannot act on a terminal."""
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def show_entries(entries: Iterable["Entry"], *, json: bool) -> None:
    """A line for each entry of a directory, or one list."""
    if json:
        print_json([entry_document(entry) for entry in entries])
        return
    for entry in entries:
        target = f" -> {path_text(entry.target)}" if entry.target else ""
        typer.echo(
            f"{mode_text(entry)} {entry.uid:>5} {entry.gid:>5} {entry.size:>14}"
            f" {_changed_text(entry)} {path_text(entry.name)}{target}"
        )


def entry_document(entry: "Entry") -> dict[str, object]:
    """An entry for programs; a name that is not UTF-8 has the escapes of Python's file names."""
    return {
        "name": entry.name.decode(errors="surrogateescape"),
        "kind": entry.kind.name.lower(),
        "mode": entry.mode,
        "uid": entry.uid,
        "gid": entry.gid,
        "size_bytes": entry.size,
        "mtime_ns": entry.mtime_ns,
        "target": entry.target.decode(errors="surrogateescape"),
    }


def _changed_text(entry: "Entry") -> str:
    """When it was changed; a file may state a time that no calendar has."""
    try:
        return time_text(entry.mtime_ns)
    except (ValueError, OverflowError, OSError):
        return f"{entry.mtime_ns // 1_000_000_000:>23}"


def mode_text(entry: "Entry") -> str:
    """The mode as `ls -l` has it, without the bits above."""
    bits = (bit if entry.mode >> (8 - at) & 1 else "-" for at, bit in enumerate(_BITS))
    return _LETTERS[entry.kind] + "".join(bits)


def show_problems(problems: Sequence["Problem"]) -> None:
    """What went otherwise than asked, on standard error."""
    for one in problems:
        typer.echo(f"csi-zfs: {path_text(one.path)}: {one.kind}: {one.detail}", err=True)


def problem_documents(problems: Sequence["Problem"]) -> list[dict[str, str]]:
    """The same for programs."""
    return [
        {
            "path": one.path.decode(errors="surrogateescape"),
            "kind": one.kind,
            "detail": one.detail,
        }
        for one in problems
    ]


def _row(manifest: "Manifest") -> tuple[str, ...]:
    return (
        manifest.manifest_id,
        time_text(manifest.created_ns),
        manifest.root.kind,
        format_size(manifest.root.size_bytes),
        printable(manifest.domain),
        labels_text(manifest.root.labels),
    )
