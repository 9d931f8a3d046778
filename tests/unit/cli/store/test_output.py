"""What a tree states of its files is shown, however strange it is."""

import pytest

from csi_zfs.cas.tree_entries import Entry, EntryKind
from csi_zfs.cli.store.output import mode_text, path_text, printable, show_entries

ENTRY = Entry(b"name", EntryKind.FILE, 0o640, 1000, 100, 0)


@pytest.mark.parametrize(
    ("kind", "mode", "text"),
    [
        (EntryKind.FILE, 0o640, "-rw-r-----"),
        (EntryKind.DIRECTORY, 0o1777, "drwxrwxrwx"),
        (EntryKind.SYMLINK, 0o777, "lrwxrwxrwx"),
        (EntryKind.BLOCK_DEVICE, 0, "b---------"),
        (EntryKind.CHARACTER_DEVICE, 0o001, "c--------x"),
        (EntryKind.FIFO, 0o400, "pr--------"),
    ],
)
def test_mode_is_shown_as_ls_does(kind: EntryKind, mode: int, text: str) -> None:
    assert mode_text(ENTRY._replace(kind=kind, mode=mode)) == text


def test_time_that_no_calendar_has_is_shown_in_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    times = [0, 2**62 * 1_000_000_000, -(2**62) * 1_000_000_000]

    show_entries([ENTRY._replace(mtime_ns=time) for time in times], json=False)

    shown = capsys.readouterr().out.splitlines()
    assert "1970-01-01 00:00:00 UTC" in shown[0]
    assert [line.split()[4] for line in shown[1:]] == [str(2**62), str(-(2**62))]


def test_nothing_that_is_shown_can_act_on_a_terminal() -> None:
    assert path_text(b"a\x1b[2J\xff\n") == "a\\x1b[2J\\xff\\n"
    assert printable("\u202egnp.exe") == "\\u202egnp.exe"
    assert path_text("größe".encode()) == "größe"
