from e2e.cluster.node import parse_images

_KIND = "application/vnd.oci.image.manifest.v1+json"
_LISTED = f"""\
REF                 TYPE    DIGEST      SIZE    PLATFORMS   LABELS
localhost/pause:1   {_KIND} sha256:a0b3 1.9 MiB linux/amd64 io.cri
localhost/a:0.1.0   {_KIND} sha256:77fe 1.9 MiB linux/amd64 -
"""


def test_images_are_known_by_name_and_digest() -> None:
    assert parse_images(_LISTED) == {
        "localhost/pause:1": "sha256:a0b3",
        "localhost/a:0.1.0": "sha256:77fe",
    }


def test_no_images_are_parsed_from_an_empty_table() -> None:
    assert parse_images("REF TYPE DIGEST SIZE PLATFORMS LABELS\n") == {}
