"""`make e2e-s3` where there is no Go: words, and in CI a failure unless it is documented."""

import pytest

from e2e.s3 import __main__ as e2e_s3


@pytest.mark.parametrize(
    ("variables", "status"),
    [
        ({}, 0),
        ({"CI": "1"}, 1),
        ({"CI": "1", "CSI_ZFS_CI_WITHOUT": "root,go"}, 0),
        ({"CI": "1", "CSI_ZFS_CI_WITHOUT": "root"}, 1),
    ],
)
def test_machine_without_go_is_told_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variables: dict[str, str],
    status: int,
) -> None:
    for name in ("CI", "CSI_ZFS_CI_WITHOUT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(e2e_s3, "why_no_go", lambda: "needs Go")
    monkeypatch.setattr(e2e_s3, "interrupt_once", lambda: None)
    assert e2e_s3.main() == status
    assert "does not run: s3: needs Go" in capsys.readouterr().out
