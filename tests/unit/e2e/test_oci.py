import hashlib
import io
import json
import tarfile
from pathlib import Path

from e2e.cluster.oci import Layer, write_image


def made(path: Path) -> dict[str, bytes]:
    layer = Layer()
    layer.directory("tmp", 0o1777)
    layer.file("etc/passwd", b"root\n")
    layer.link("sbin", "bin")
    write_image(path, "localhost/a:1", layer, entrypoint=("/a", "-b"), architecture="amd64")
    with tarfile.open(path) as tar:
        return {
            member.name: file.read()
            for member in tar.getmembers()
            if (file := tar.extractfile(member)) is not None
        }


def blob(files: dict[str, bytes], descriptor: dict[str, object]) -> bytes:
    hex_digest = str(descriptor["digest"]).removeprefix("sha256:")
    data = files[f"blobs/sha256/{hex_digest}"]
    assert hashlib.sha256(data).hexdigest() == hex_digest
    assert len(data) == descriptor["size"]
    return data


def test_image_is_found_under_its_name(tmp_path: Path) -> None:
    files = made(tmp_path / "image.tar")
    index = json.loads(files["index.json"])
    (described,) = index["manifests"]
    assert described["annotations"] == {"io.containerd.image.name": "localhost/a:1"}
    assert json.loads(files["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}


def test_every_part_of_an_image_has_the_digest_and_size_that_are_told(tmp_path: Path) -> None:
    files = made(tmp_path / "image.tar")
    (described,) = json.loads(files["index.json"])["manifests"]
    manifest = json.loads(blob(files, described))
    configuration = json.loads(blob(files, manifest["config"]))
    assert configuration["config"]["Entrypoint"] == ["/a", "-b"]
    assert configuration["rootfs"]["diff_ids"] == [manifest["layers"][0]["digest"]]
    layer = blob(files, manifest["layers"][0])
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        members = {member.name: member for member in tar.getmembers()}
        assert tar.extractfile("etc/passwd").read() == b"root\n"  # type: ignore[union-attr]
    assert members["tmp"].isdir()
    assert members["tmp"].mode == 0o1777
    assert members["sbin"].linkname == "bin"
    assert all(member.uid == member.mtime == 0 for member in members.values())


def test_same_content_makes_the_same_archive(tmp_path: Path) -> None:
    one, other = tmp_path / "one.tar", tmp_path / "other.tar"
    made(one)
    made(other)
    assert one.read_bytes() == other.read_bytes()
