"""What is below a directory of a local storage, in the order of keys."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice

from csi_zfs.cas.api import ObjectInfo
from csi_zfs.cas.objects.grammar import MOST_WORDS, is_word
from csi_zfs.cas.objects.local_root import TEMPORARIES, LocalRoot

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_BATCH = 1000


def walk(root: LocalRoot, prefix: str) -> Iterator[ObjectInfo]:
    """The objects whose keys begin with `prefix`; what goes meanwhile is left out.

    No link is followed, and no descriptor is open while the caller works.  A directory is held in
    memory as its names alone.  Raises `OSError`.
    """
    names = iter(_names(root, prefix))
    while batch := list(islice(names, _BATCH)):
        infos = _infos(root, prefix, batch)
        for name in batch:
            if name in infos:
                yield infos[name]
            elif name.endswith("/") and prefix.count("/") < MOST_WORDS - 1:
                yield from walk(root, f"{prefix}{name}")


def _names(root: LocalRoot, prefix: str) -> list[str]:
    """The directories, each with "/" behind it, and plain files of one directory, as keys sort."""
    found: list[str] = []
    try:
        with (
            root.opened_below(prefix.rstrip("/"), _DIRECTORY) as descriptor,
            os.scandir(descriptor) as entries,
        ):
            for entry in entries:
                if is_word(entry.name):
                    found += _name(entry)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(found)


def _name(entry: "os.DirEntry[str]") -> Iterator[str]:
    if entry.is_dir(follow_symlinks=False):
        yield f"{entry.name}/"
    elif entry.is_file(follow_symlinks=False):
        yield entry.name


def _infos(root: LocalRoot, prefix: str, names: Sequence[str]) -> dict[str, ObjectInfo]:
    """What there is to tell of the files among these names, of those that are still there."""
    infos: dict[str, ObjectInfo] = {}
    with (
        suppress(FileNotFoundError),
        root.opened_below(prefix.rstrip("/"), _DIRECTORY) as directory,
    ):
        for name in names:
            if name.endswith("/"):
                continue
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=directory, follow_symlinks=False)
                infos[name] = ObjectInfo(f"{prefix}{name}", found.st_size, found.st_mtime)
    return infos


def leftovers(root: LocalRoot, before_s: float) -> list[str]:
    """The temporary files that were last written before this Unix second, below the root."""
    found: list[str] = []
    with (
        suppress(FileNotFoundError),
        root.opened_below(TEMPORARIES, _DIRECTORY) as descriptor,
        os.scandir(descriptor) as entries,
    ):
        for entry in entries:
            # Whoever still works on one may be done with it in this moment.
            with suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < before_s:
                    found.append(f"{TEMPORARIES}/{entry.name}")
    return found
