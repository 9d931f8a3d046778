"""Reads csi-sanity's JUnit report, and judges it."""

import enum
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import dataclass

# How many specs version 5.6.0 has: fewer would mean that some were filtered out.
EXPECTED_SPECS = 103
_SPEC_PREFIX = "[It] "


class Outcome(enum.StrEnum):
    """How a spec ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Spec:
    """One spec of the suite; `message` says why it failed or was skipped."""

    name: str
    outcome: Outcome
    message: str = ""


@dataclass(frozen=True, slots=True)
class Lack:
    """A reason for which specs are skipped: those whose name and skip message are these.

    Attributes:
        specs: a part of their names.
        message: the skip message, whole.
        capability: what the driver does not offer; empty where it is not the driver's doing.
        why: and why not.
    """

    specs: str
    message: str
    capability: str
    why: str

    def explains(self, spec: Spec) -> bool:
        """Whether a skipped spec is one of these."""
        return self.specs in spec.name and self.message == spec.message


def parse_report(document: bytes) -> list[Spec]:
    """The specs of a report, in its order; a set-up that failed counts as a spec."""
    cases = [_parse_case(case) for case in ET.fromstring(document).iter("testcase")]
    return [
        Spec(name.removeprefix(_SPEC_PREFIX), outcome, message)
        for name, outcome, message in cases
        if name.startswith(_SPEC_PREFIX) or outcome is Outcome.FAILED
    ]


def _parse_case(case: ET.Element) -> tuple[str, Outcome, str]:
    name = case.get("name", "")
    match case.get("status"):
        case "passed":
            return name, Outcome.PASSED, ""
        case "skipped" | "pending":
            skipped = case.find("skipped")
            message = "" if skipped is None else skipped.get("message", "")
            return name, Outcome.SKIPPED, message.removeprefix("skipped - ")
        case status:
            fault = next((item for item in case if item.tag in {"failure", "error"}), None)
            words = [] if fault is None else [fault.get("message", ""), fault.text or ""]
            return name, Outcome.FAILED, "\n".join(filter(None, words)) or f"status {status}"


def explain(spec: Spec, table: Sequence[Lack]) -> Lack | None:
    """The entry of the table that says why a skipped spec may be skipped."""
    return next((lack for lack in table if lack.explains(spec)), None)


def faults(specs: Sequence[Spec], table: Sequence[Lack]) -> list[str]:
    """Everything for which a run does not count as good; none for a good one."""
    skipped = [spec for spec in specs if spec.outcome is Outcome.SKIPPED]
    found = [f"failed: {spec.name}" for spec in specs if spec.outcome is Outcome.FAILED]
    found += [
        f"skipped without a known reason: {spec.name} ({spec.message})"
        for spec in skipped
        if explain(spec, table) is None
    ]
    # An entry that explains nothing would hide the day on which its specs are skipped again.
    found += [
        f"the table of skips has an entry that is not needed: {lack.specs} ({lack.message})"
        for lack in table
        if not any(lack.explains(spec) for spec in skipped)
    ]
    if len(specs) < EXPECTED_SPECS:
        found.append(f"only {len(specs)} specs instead of {EXPECTED_SPECS}")
    return found
