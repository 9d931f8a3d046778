import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.image.archive import Archive, differences
from e2e.image.errors import ImageError

NAME = "localhost/csi-zfs:1"


@dataclass(frozen=True)
class File:
    text: str
    mode: int = 0o644
    time_s: int = 0


Layer = Mapping[str, File]


def packed(files: Layer) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, file in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(file.text), file.mode, file.time_s
            tar.addfile(member, io.BytesIO(file.text.encode()))
    return buffer.getvalue()


def written(path: Path, layers: Sequence[Layer], *, images: int = 1, label: str = "") -> Archive:
    blobs: dict[str, bytes] = {}

    def blob(data: bytes) -> dict[str, object]:
        hex_digest = hashlib.sha256(data).hexdigest()
        blobs[f"blobs/sha256/{hex_digest}"] = data
        return {"digest": f"sha256:{hex_digest}"}

    manifest = {
        "config": blob(json.dumps({"config": {"Labels": {"title": label}}}).encode()),
        "layers": [blob(gzip.compress(packed(layer), mtime=0)) for layer in layers],
    }
    descriptor = blob(json.dumps(manifest).encode()) | {
        "annotations": {"org.opencontainers.image.ref.name": NAME}
    }
    index = json.dumps({"manifests": [descriptor] * images}).encode()
    with tarfile.open(path, mode="w") as tar:
        for name, data in {**blobs, "index.json": index}.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return Archive(path)


@pytest.fixture(name="archive")
def fixture_archive(tmp_path: Path) -> Archive:
    system = {"./etc/name": File("old"), "./bin/tool": File("tool", 0o755)}
    driver = {"etc/name": File("new!")}
    return written(tmp_path / "image.tar", [system, driver], label="csi-zfs")


def test_image_is_known_by_its_name_and_the_digest_of_its_manifest(archive: Archive) -> None:
    blob = f"blobs/{archive.digest.replace(':', '/')}"
    with tarfile.open(archive.path) as tar:
        file = tar.extractfile(blob)
        assert file is not None
        assert f"sha256:{hashlib.sha256(file.read()).hexdigest()}" == archive.digest
    assert archive.name == NAME


def test_configuration_is_what_the_manifest_points_at(archive: Archive) -> None:
    assert archive.configuration() == {"config": {"Labels": {"title": "csi-zfs"}}}


def test_the_last_layer_that_has_a_file_counts(archive: Archive) -> None:
    assert sorted(archive.entries()) == ["bin/tool", "etc/name"]
    assert archive.read("etc/name") == b"new!"
    assert archive.size_bytes() == len("tool") + len("new!")
    assert archive.names_of_layers() == [{"etc/name", "bin/tool"}, {"etc/name"}]


def test_a_file_of_a_lower_layer_is_read_too(archive: Archive) -> None:
    assert archive.read("bin/tool") == b"tool"


def test_a_file_that_is_nowhere_is_no_empty_one(archive: Archive) -> None:
    with pytest.raises(ImageError, match="no file etc/other"):
        archive.read("etc/other")


def test_unpacking_gives_the_files_of_the_image(archive: Archive, tmp_path: Path) -> None:
    root = tmp_path / "root"
    archive.unpack(root)
    assert (root / "etc/name").read_text() == "new!"
    assert (root / "bin/tool").stat().st_mode & 0o777 == 0o755


def test_a_layer_that_takes_files_away_is_refused(tmp_path: Path) -> None:
    archive = written(tmp_path / "image.tar", [{"etc/.wh.name": File("")}])
    with pytest.raises(ImageError, match="takes files"):
        archive.entries()


@pytest.mark.parametrize("images", [0, 2])
def test_an_archive_of_several_images_or_none_is_refused(tmp_path: Path, images: int) -> None:
    archive = written(tmp_path / "image.tar", [{}], images=images)
    with pytest.raises(ImageError, match=f"has {images} images"):
        _ = archive.digest


def test_equal_images_do_not_differ(tmp_path: Path) -> None:
    one, other = (
        written(tmp_path / name, [{"a": File("text")}], label="one") for name in ("1", "2")
    )
    assert differences(one, other) == []


@pytest.mark.parametrize(
    "file", [File("texT"), File("text", mode=0o600), File("text", time_s=1)], ids=str
)
def test_a_file_that_differs_is_named(tmp_path: Path, file: File) -> None:
    one = written(tmp_path / "1", [{"a": File("text"), "b": File("same")}])
    other = written(tmp_path / "2", [{"a": file, "b": File("same")}])
    words = differences(one, other)
    assert [word.partition(":")[0] for word in words] == ["a", "manifest"]


def test_a_file_of_one_image_only_is_named(tmp_path: Path) -> None:
    one = written(tmp_path / "1", [{"a": File("text")}])
    other = written(tmp_path / "2", [{}])
    assert "missing" in differences(one, other)[0]


def test_another_label_is_a_difference(tmp_path: Path) -> None:
    one = written(tmp_path / "1", [{}], label="one")
    other = written(tmp_path / "2", [{}], label="other")
    assert [word.partition(":")[0] for word in differences(one, other)] == [
        "configuration",
        "manifest",
    ]
