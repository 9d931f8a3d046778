"""Texts that somebody sends who means no good, or who has a bug (rules.md C1, C3)."""

import random
from pathlib import Path

from tests.property.canaries import STAGING, TARGET

EPHEMERAL_ID = "csi-" + "e" * 64

_MADE_BY_US = ("D-00000000000000aa", "v/D-00000000000000aa", "v/pvc-1@snap", "h-" + "0" * 32)
_WORDS = ("true", "ext4", "thin", "fake", "0", "-1", "1Gi", "SINGLE_NODE_WRITER")
_FLAGS = ("loop", "bind", "remount,rw", "suid", "exec", "dev", "logdev=/dev/sda", "x-mount.mkdir")
_INJECTIONS = (
    "",
    " ",
    "\0",
    "a\0b",
    "a\nb",
    "a,b",
    "--help",
    "-rf",
    "$(id)",
    "a@b",
    "a#b",
    "%2e%2e%2f",
    "../../etc/passwd",
    "/",
    "\u202ea",
    "\ufffd",
    "ä" * 64,
    "x" * 49,
    "x" * 129,
    "x" * 5000,
)
TEXTS = (*_MADE_BY_US, *_WORDS, *_FLAGS, *_INJECTIONS)


def paths(root: Path) -> list[str]:
    """Paths that lead out of `root`, are no paths, or are another volume's.

    `root` has a link `out` that leads out of it.
    """
    of_other = [f"{root}/{STAGING}", f"{root}/{TARGET}"]
    return [
        *of_other * 4,
        f"{root}/{TARGET}/below",
        str(root),
        f"{root}/",
        f"{root}/..",
        f"{root}/../canary",
        f"{root}/pods/../../canary",
        f"{root}/out",
        f"{root}/out/canary",
        f"{root}/out/new/deep",
        f"{root}/file",
        f"{root}/file/below",
        f"{root}//pods/1/mount",
        f"{root}/./pods/1/mount",
        f"{root}/pods/1/mount/",
        f"{root}/pods/1/mount\n",
        f"{root}/pods/1\0/mount",
        f"{root}/{'x' * 256}",
        f"{root}/{'x/' * 2048}x",
        f"{root}x/pods/1/mount",
        f"{root.parent}/canary",
        "/etc",
        "/proc/self/root",
        "pods/1/mount",
        ".",
    ]


def mutated(text: str, by: random.Random) -> str:
    """Almost the same text."""
    at = by.randrange(len(text))
    return by.choice(
        [
            text[:at] + by.choice("0f:@/-Z\0\n") + text[at + 1 :],
            text[:at] + text[at + 1 :],
            text + by.choice("\n \0:a"),
            text.upper(),
            text.replace(":v:", ":s:"),
            text[:-16] + f"{by.getrandbits(64):016x}",
            "zfs1:" + "0" * 16 + text[21:],
        ]
    )
