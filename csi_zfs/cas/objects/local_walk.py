"""What is below a directory of a local storage, in the order of keys."""

import os
from collections.abc import Iterator
from contextlib import suppress

from csi_zfs.cas.api import ObjectInfo
from csi_zfs.cas.objects.grammar import MOST_WORDS, is_word
from csi_zfs.cas.objects.local_root import TEMPORARIES, LocalRoot


def walk(root: LocalRoot, prefix: str) -> Iterator[ObjectInfo]:
    """The objects whose keys begin with `prefix`; what goes meanwhile is left out.

    No link is followed, and no descriptor is open while the caller works.  Raises `OSError`.
    """
    for name, info in _entries(root, prefix):
        if info is not None:
            yield ObjectInfo(f"{prefix}{name}", info.st_size, info.st_mtime)
        elif prefix.count("/") < MOST_WORDS - 1:
            yield from walk(root, f"{prefix}{name}/")


def leftovers(root: LocalRoot, before_s: float) -> list[str]:
    """The temporary files that were last written before this Unix second, below the root."""
    found: list[str] = []
    directory = os.O_RDONLY | os.O_DIRECTORY
    with root.opened_below(TEMPORARIES, directory) as descriptor, os.scandir(descriptor) as entries:
        for entry in entries:
            # Whoever still works on one may be done with it in this moment.
            with suppress(FileNotFoundError):
                if entry.stat(follow_symlinks=False).st_mtime < before_s:
                    found.append(f"{TEMPORARIES}/{entry.name}")
    return found


def _entries(root: LocalRoot, prefix: str) -> list[tuple[str, os.stat_result | None]]:
    """The directories (without a stat) and plain files of one directory, sorted as keys are."""
    found: list[tuple[str, os.stat_result | None]] = []
    try:
        with (
            root.opened_below(prefix.rstrip("/"), os.O_RDONLY | os.O_DIRECTORY) as descriptor,
            os.scandir(descriptor) as entries,
        ):
            for entry in entries:
                found += _entry(entry)
    except (FileNotFoundError, NotADirectoryError):
        return []
    # In a key a directory's name goes on with "/", which is behind "-" and "." and before letters.
    return sorted(found, key=lambda item: item[0] if item[1] is not None else f"{item[0]}/")


def _entry(entry: "os.DirEntry[str]") -> Iterator[tuple[str, os.stat_result | None]]:
    if not is_word(entry.name):
        return
    if entry.is_dir(follow_symlinks=False):
        yield entry.name, None
    elif entry.is_file(follow_symlinks=False):
        with suppress(FileNotFoundError):
            yield entry.name, entry.stat(follow_symlinks=False)
