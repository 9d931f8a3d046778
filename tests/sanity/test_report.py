from pathlib import Path

import pytest

from tests.sanity import output
from tests.sanity.build import VERSION, cache_directory
from tests.sanity.report import EXPECTED_SPECS, Lack, Outcome, Spec, faults, parse_report

REPORT = b"""<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="6" disabled="2" errors="1" failures="1" time="1.5">
  <testsuite name="CSI Driver Test Suite" package="/" tests="6">
    <testcase name="[BeforeSuite]" status="passed" time="0"></testcase>
    <testcase name="[It] Node Service should work" status="passed" time="0.1">
      <system-err>&gt; Enter [BeforeEach]</system-err>
    </testcase>
    <testcase name="[It] ModifyVolume should modify" status="skipped" time="0">
      <skipped message="skipped - ControllerModifyVolume not supported"></skipped>
    </testcase>
    <testcase name="[It] ListVolumes pagination" status="pending" time="0">
      <skipped message="pending"></skipped>
    </testcase>
    <testcase name="[It] GetCapacity should return" status="failed" time="0.1">
      <failure message="Expected 1 to equal 2" type="failed">at node.go:1</failure>
      <system-err>much</system-err>
    </testcase>
    <testcase name="[AfterSuite]" status="panicked" time="0">
      <error message="nil" type="panicked">stack</error>
    </testcase>
  </testsuite>
</testsuites>
"""
MODIFYING = Lack("ModifyVolume", "ControllerModifyVolume not supported", "MODIFY_VOLUME", "why")
PAGING = Lack("ListVolumes pagination", "pending", "", "switched off by csi-test")


def many(*more: Spec) -> list[Spec]:
    """A whole suite of specs that passed, and these."""
    passed = [Spec(f"spec {number}", Outcome.PASSED) for number in range(EXPECTED_SPECS)]
    return [*passed, *more]


def test_parse_report_takes_specs_and_whatever_failed() -> None:
    assert parse_report(REPORT) == [
        Spec("Node Service should work", Outcome.PASSED),
        Spec("ModifyVolume should modify", Outcome.SKIPPED, "ControllerModifyVolume not supported"),
        Spec("ListVolumes pagination", Outcome.SKIPPED, "pending"),
        Spec("GetCapacity should return", Outcome.FAILED, "Expected 1 to equal 2\nat node.go:1"),
        Spec("[AfterSuite]", Outcome.FAILED, "nil\nstack"),
    ]


def test_faults_of_a_good_run_are_none() -> None:
    specs = many(
        Spec("ModifyVolume should", Outcome.SKIPPED, "ControllerModifyVolume not supported"),
        Spec("ListVolumes pagination", Outcome.SKIPPED, "pending"),
    )
    assert faults(specs, [MODIFYING, PAGING]) == []


@pytest.mark.parametrize(
    ("specs", "table", "expected"),
    [
        (many(Spec("a", Outcome.FAILED, "x")), [], "failed: a"),
        (
            many(Spec("a", Outcome.SKIPPED, "new message")),
            [],
            "skipped without a known reason: a (new message)",
        ),
        (
            many(),
            [PAGING],
            "the table of skips has an entry that is not needed: ListVolumes pagination (pending)",
        ),
        (many()[1:], [], f"only {EXPECTED_SPECS - 1} specs instead of {EXPECTED_SPECS}"),
    ],
)
def test_faults_name_what_is_wrong(specs: list[Spec], table: list[Lack], expected: str) -> None:
    assert faults(specs, table) == [expected]


def test_skip_of_another_message_is_not_explained() -> None:
    specs = many(Spec("ModifyVolume should modify", Outcome.SKIPPED, "Config is wrong"))
    assert any("without a known reason" in fault for fault in faults(specs, [MODIFYING]))


def test_output_names_every_skipped_spec_with_its_reason() -> None:
    lines = list(output.skipped(parse_report(REPORT), [MODIFYING, PAGING]))
    assert lines == [
        "skipped 1: the driver lacks MODIFY_VOLUME: why",
        "    ModifyVolume should modify (ControllerModifyVolume not supported)",
        "skipped 1: switched off by csi-test",
        "    ListVolumes pagination (pending)",
    ]


def test_output_says_once_what_is_skipped_in_several_runs() -> None:
    specs = [Spec("ListVolumes pagination", Outcome.SKIPPED, "pending")]
    lines = list(output.skipped_in({"mount": specs, "block": specs, "other": []}, [PAGING]))
    assert lines == [
        "not run (mount, block):",
        "skipped 1: switched off by csi-test",
        "    ListVolumes pagination (pending)",
    ]


def test_summary_counts_by_outcome() -> None:
    line = output.summary("mount", parse_report(REPORT), 1.25)
    assert line.split() == (
        "mount 5 specs: 1 passed, 2 failed, 2 skipped (1.2 s)".split()  # noqa: SIM905 - one line
    )


@pytest.mark.parametrize(
    ("environ", "cache"),
    [
        ({"XDG_CACHE_HOME": "/cache", "HOME": "/home/me"}, "/cache"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/me"}, "/home/me/.cache"),
    ],
)
def test_cache_directory_depends_on_both_versions(environ: dict[str, str], cache: str) -> None:
    path = cache_directory(environ, "go1.26.8")
    assert path == Path(cache) / "csi-zfs" / f"csi-sanity-{VERSION}-go1.26.8"
