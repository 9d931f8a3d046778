"""Measure, print, and with `--markdown PAGE` write the section into a page; no figure fails."""

import argparse
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from csi_zfs.domain.sizes import MIB
from tests.bench.figures import Figure, Section, Table, Target
from tests.bench.rendering import STORE_TITLE, to_markdown, to_text, with_section
from tests.bench.store.material import Material, make_material
from tests.bench.store.running import Took, run
from tests.bench.store.tools import OurStore, Tool, installed
from tests.support.leftovers import scratch_directory

_ROUNDS = 3
_FAST = Target(2.5, is_floor=True)
_RESCAN = Target(5, is_floor=True)


@dataclass(slots=True)
class Measured:
    """What one tool took: the best of some rounds, since others only slow it down."""

    new: list[Took] = field(default_factory=list)
    again: list[Took] = field(default_factory=list)
    changed: list[Took] = field(default_factory=list)
    restored: list[Took] = field(default_factory=list)
    stored_bytes: int = 0


@dataclass(slots=True)
class Rounds:
    """What all tools took, over the rounds of a run."""

    tools: dict[str, Measured] = field(default_factory=dict)
    limits: list[Took] = field(default_factory=list)
    copies: list[Took] = field(default_factory=list)
    # The second version by its list of changes, and what that stored.
    ranges: list[tuple[Took, int]] = field(default_factory=list)


def best(took: list[Took]) -> Took:
    """The round that took least."""
    return min(took, key=lambda one: one.wall_s)


def main() -> None:
    """Run all of it."""
    parser = argparse.ArgumentParser(prog="make bench-cas")
    parser.add_argument("--markdown", type=Path, help="a page that gets the section")
    parser.add_argument("--rounds", type=int, default=_ROUNDS)
    asked = parser.parse_args()
    with scratch_directory("csi-zfs-bench-") as scratch:
        section = measured(scratch, asked.rounds)
    sys.stdout.write(to_text(section))
    if asked.markdown:
        text = asked.markdown.read_text(encoding="utf-8")
        asked.markdown.write_text(with_section(text, to_markdown(section)), encoding="utf-8")


def measured(scratch: Path, rounds: int) -> Section:
    """Every tool in turn, some rounds."""
    load = os.getloadavg()[0]
    say("making the image")
    material = make_material(scratch)
    found = Rounds()
    missing: list[str] = []
    for number in range(rounds):
        directory = scratch / str(number)
        directory.mkdir()
        for image in (material.image, material.changed):
            run(["cp", image, "/dev/null"])
        found.limits.append(bare(material, directory))
        others, missing = installed(directory)
        ours = OurStore(directory / "ours")
        for tool in (ours, *others):
            say(f"round {number + 1} of {rounds}: {tool.name}")
            _measure(
                tool,
                material,
                directory / "restored",
                found.tools.setdefault(tool.name, Measured()),
            )
        found.ranges.append(by_ranges(material, directory))
        copy = directory / "copied"
        found.copies.append(run(["cp", "--sparse=always", material.image, copy])[0])
        run(["rm", "--recursive", "--force", directory])
    return _section(found, _note(load, rounds, missing))


def by_ranges(material: Material, directory: Path) -> tuple[Took, int]:
    """The second version by its list of changes, in a store that has only the first one."""
    store = OurStore(directory / "ranges")
    store.begin()
    store.put(material)
    return store.put_ranges(material)


def bare(material: Material, directory: Path) -> Took:
    """The limit: two threads that do the work of an ingest without a store."""
    target = directory / "bare"
    target.mkdir()
    return run([sys.executable, "-m", "tests.bench.store.limit", material.image, target])[0]


def _measure(tool: Tool, material: Material, target: Path, found: Measured) -> None:
    tool.begin()
    found.new.append(tool.put(material))
    found.stored_bytes = tool.stored_bytes()
    found.again.append(tool.put(material))
    found.changed.append(tool.put_changed(material))
    found.restored.append(tool.restore(material, target))
    run(["rm", "--recursive", "--force", target])


def _section(found: Rounds, note: str) -> Section:
    rows = [
        (
            name,
            *(str(best(took)) for took in (one.new, one.again, one.changed, one.restored)),
            f"{one.stored_bytes / MIB:.0f} MiB",
            f"{best(one.new).rss_bytes / MIB:.0f} MiB",
        )
        for name, one in found.tools.items()
    ]
    rows.append(("two bare threads", str(best(found.limits)), "", "", "", "", ""))
    rows.append(("cp --sparse", "", "", "", str(best(found.copies)), "", ""))
    columns = ("tool", "new", "unchanged", "1 % changed", "restored", "stored", "memory, new")
    return Section(
        title=STORE_TITLE,
        note=note,
        tables=[Table(columns, rows)],
        figures=_figures(found),
    )


def _figures(found: Rounds) -> list[Figure]:
    ours = found.tools["csi-zfs"]
    limit, copy = ("two bare threads", best(found.limits)), ("cp --sparse", best(found.copies))
    others = {name: one for name, one in found.tools.items() if one is not ours}
    new, again, restored = best(ours.new), best(ours.again), best(ours.restored)
    changed, stored_bytes = min(found.ranges, key=lambda one: one[0].wall_s)
    figures = [
        _against("ingest of new data", new, limit, Target(0.85, is_floor=True)),
        _against("restore", restored, copy, Target(0.5, is_floor=True)),
        Figure(
            what="memory, ingest",
            measured=f"{new.rss_bytes / MIB:.0f} MiB",
            beside="256 MiB",
            ratio=new.rss_bytes / (256 * MIB),
            target=Target(1),
        ),
        Figure(
            what="1 % changed, by the list of changes: stored",
            measured=f"{stored_bytes / MIB:.1f} MiB",
            beside=f"36 chunks of 256 KiB, in {changed}",
            ratio=stored_bytes / (9 * MIB),
            target=Target(1.1),
        ),
    ]
    for name, one in others.items():
        figures += [
            _against("ingest of new data", new, (name, best(one.new)), _FAST),
            _against("unchanged image again", again, (name, best(one.again)), _RESCAN),
            _against("restore", restored, (name, best(one.restored)), _FAST),
            Figure(
                what="processor time, ingest of new data",
                measured=f"{new.cpu_s:.2f} s",
                beside=f"{name} {best(one.new).cpu_s:.2f} s",
                ratio=new.cpu_s / best(one.new).cpu_s,
                target=Target(1),
            ),
        ]
    return figures


def _against(what: str, ours: Took, other: tuple[str, Took], target: Target) -> Figure:
    """How many times as fast as another one."""
    name, theirs = other
    measured_s, beside = f"{ours.wall_s:.2f} s", f"{name} {theirs.wall_s:.2f} s"
    return Figure(what, measured_s, beside, theirs.wall_s / ours.wall_s, target)


def _note(load: float, rounds: int, missing: list[str]) -> str:
    left_out = f" Not installed here: {', '.join(missing)}." if missing else ""
    return (
        "Measured by `make bench-cas`: a sparse image of 6 GiB with 900 MiB of the files that this"
        " machine has under /usr, in the page cache; each step a process of its own, wall seconds"
        f" and (processor seconds), the best of {rounds} rounds in turns; load before the run:"
        f" {load:.1f}. All encrypt. Borg: fixed chunks of 256 KiB, zstd 1. Restic: as it comes;"
        f" its restore goes to nowhere.{left_out}"
    )


def say(words: str) -> None:
    """Tell what is being done."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {words}\n")


if __name__ == "__main__":
    main()
