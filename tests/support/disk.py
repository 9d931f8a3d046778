"""The disk that the fake dataset manager and the fake mounter share: disk images as objects.

The dataset manager makes, copies, renames and deletes images by path; the mounter formats, mounts
and fills them.  An image that is attached keeps its identity through a rename, as an inode does.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from csi_zfs.domain.model import DataPath, NativeFilesystem


@dataclass(slots=True, eq=False)
class FakeImage:
    """One disk image.

    Attributes:
        size_bytes: the size of the whole image.
        fs_type: what it is formatted with; empty while it is blank.
        fs_size_bytes: the part of the image that the file system fills.
        fs_generation: stands for the UUID of the file system; a clone has the same one.
        is_half_formatted: a format was cut short: it is neither blank nor mountable.
        content: the files of the file system.
        has_foreign_mark: its user wrote what blkid takes for another format.
        raw: the first bytes of a block volume; the rest is zeros.
        is_frozen: writes are held back.
        is_attached: a block device serves it.
    """

    size_bytes: int
    fs_type: str = ""
    fs_size_bytes: int = 0
    fs_generation: int = 0
    is_half_formatted: bool = False
    content: dict[str, bytes] = field(default_factory=dict)
    has_foreign_mark: bool = False
    raw: bytes = b""
    is_frozen: bool = False
    is_attached: bool = False


def path_of(data_path: DataPath) -> Path:
    """By what path the fake disk knows this data; a native file system has one of its own too."""
    if isinstance(data_path, NativeFilesystem):
        return Path("/fake", data_path.dataset_name, "image")
    return data_path.path


class FakeDisk:
    """All images of a machine, by the path of their image file or device node."""

    def __init__(self) -> None:
        """Begin with no images."""
        self.images: dict[Path, FakeImage] = {}

    def create(self, path: Path, size_bytes: int, *, is_native: bool = False) -> None:
        """Make a blank image, or a native file system; raises `FileExistsError`."""
        self._require_free(path)
        self.images[path] = FakeImage(size_bytes)
        if is_native:
            self.images[path].fs_type, self.images[path].fs_size_bytes = "zfs", size_bytes

    def clone(self, source: Path, path: Path, size_bytes: int = 0) -> None:
        """Copy an image as it is now, grown to `size_bytes`; raises as `create`, and `KeyError`."""
        self._require_free(path)
        origin = self.images[source]
        self.images[path] = replace(
            origin,
            size_bytes=max(origin.size_bytes, size_bytes),
            content=dict(origin.content),
            is_frozen=False,
            is_attached=False,
        )

    def resize(self, path: Path, size_bytes: int) -> None:
        """Set the size of an image, and of a native file system; raises `KeyError`."""
        image = self.images[path]
        image.size_bytes = size_bytes
        if image.fs_type == "zfs":
            image.fs_size_bytes = size_bytes

    def rename(self, path: Path, new_path: Path) -> None:
        """Give an image another path; it stays attached; raises `FileExistsError`, `KeyError`."""
        self._require_free(new_path)
        self.images[new_path] = self.images.pop(path)

    def delete(self, path: Path) -> None:
        """Forget an image; raises `KeyError`."""
        del self.images[path]

    def _require_free(self, path: Path) -> None:
        if path in self.images:
            raise FileExistsError(path)
