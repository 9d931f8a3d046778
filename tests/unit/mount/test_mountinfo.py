"""The parser of mountinfo, and what is said about the top of a stack."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from csi_zfs.mount.mountinfo import (
    MountEntry,
    entries_below,
    load_mountinfo,
    mount_id_of,
    parse_mountinfo,
    top_at,
)

EXAMPLE = rb"""21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro
36 21 98:0 /mnt1 /mnt\0402 ro,noatime master:1 propagate_from:2 - xfs /dev/root rw,inode64
37 21 0:6 /loop1 /a\134b rw - devtmpfs  rw,size=10k
38 36 98:0 / /mnt\0402 rw - xfs /dev/root rw
"""


def entry(mount_point: str, *, mount_id: int = 1, parent_id: int = 0) -> MountEntry:
    return MountEntry(mount_id, parent_id, (8, 1), "/", mount_point, "rw", "ext4", "rw")


def escaped(text: str) -> bytes:
    """A field as the kernel writes it (seq_path, mangle)."""
    special = b" \t\n\\#"
    return b"".join(
        b"\\%03o" % byte if byte in special else bytes((byte,)) for byte in os.fsencode(text)
    )


def test_parse_reads_numbers_paths_and_options() -> None:
    _, second, third, _ = parse_mountinfo(EXAMPLE)
    assert second == MountEntry(
        36, 21, (98, 0), "/mnt1", "/mnt 2", "ro,noatime", "xfs", "rw,inode64", "/dev/root"
    )
    assert (third.root, third.mount_point, third.fs_type) == ("/loop1", "/a\\b", "devtmpfs")


@pytest.mark.parametrize(
    ("options", "super_options", "is_read_only"),
    [
        ("rw,relatime", "rw", False),
        ("ro,relatime", "rw", True),
        ("rw,relatime", "ro", True),
        ("rw", "rw,errors=remount-ro", False),
        ("rw", "rw,emergency_ro", True),
    ],
)
def test_entry_is_read_only_by_the_mount_or_by_its_filesystem(
    options: str, super_options: str, *, is_read_only: bool
) -> None:
    found = entry("/a")._replace(options=options, super_options=super_options)
    assert found.is_read_only is is_read_only


def test_entry_of_a_dead_ext4_is_shut_down() -> None:
    assert not entry("/a").is_shut_down
    assert entry("/a")._replace(super_options="rw,shutdown").is_shut_down


def test_top_of_a_stack_is_nobodys_parent_whatever_the_order() -> None:
    first, second = entry("/a", mount_id=9), entry("/a", mount_id=5, parent_id=9)
    assert top_at([first, second], "/a") == top_at([second, first], "/a") == second
    assert top_at([first, second], "/b") is None


def test_entries_below_are_deeper_than_the_path_itself() -> None:
    entries = [entry("/a"), entry("/a/b"), entry("/ab"), entry("/")]
    assert [found.mount_point for found in entries_below(entries, "/a")] == ["/a/b"]


paths = st.text(
    st.characters(min_codepoint=1, exclude_categories=["Cs"]), min_size=1, max_size=20
).map(lambda text: f"/{text}")


@given(root=paths, mount_point=paths, source=paths)
def test_parse_gives_back_any_path_that_the_kernel_writes(
    root: str, mount_point: str, source: str
) -> None:
    fields = (escaped(root), escaped(mount_point), escaped(source))
    line = b"36 35 98:0 %s %s rw shared:7 - ext4 %s rw\n" % fields
    [found] = parse_mountinfo(line)
    assert (found.root, found.mount_point) == (root, mount_point)


def test_parse_keeps_names_that_are_not_utf8() -> None:
    [found] = parse_mountinfo(b"36 35 98:0 / /\xff rw - ext4 none rw\n")
    assert os.fsencode(found.mount_point) == b"/\xff"


def test_load_reads_the_mounts_of_this_process() -> None:
    assert any(found.mount_point == "/proc" for found in load_mountinfo())


def test_mount_id_of_a_descriptor_is_that_of_its_mount(tmp_path: Path) -> None:
    proc = top_at(load_mountinfo(), "/proc")
    descriptor = os.open("/proc", os.O_PATH)
    try:
        assert proc is not None
        assert mount_id_of(descriptor) == proc.mount_id
    finally:
        os.close(descriptor)
