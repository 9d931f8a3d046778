import io
import sys
import time
from pathlib import Path

import pytest

from e2e.vm.guest import Guest, GuestFailedError
from e2e.vm.images import Images
from e2e.vm.qemu import Machine
from e2e.vm.run import module_script, pytest_script, streamed


@pytest.fixture(name="guest")
def fixture_guest(tmp_path: Path) -> Guest:
    images = Images(Path("/system"), Path("/environment"))
    return Guest(Machine(images, tmp_path, 4022, "ssh-ed25519 AAAA"), 0)


def test_script_passes_the_arguments_as_they_are() -> None:
    script = pytest_script(["e2e/zfs", "-k", "one or two"])
    assert "e2e/zfs -k 'one or two' || status=$?" in script


def test_module_gets_its_arguments_and_its_status_is_that_of_the_run() -> None:
    script = module_script(["e2e.bench", "--markdown", "/run/results/a b"])
    assert "python -m e2e.bench --markdown '/run/results/a b' || status=$?" in script
    assert script.endswith("exit $status\n")


def test_stream_goes_on_to_us_and_into_the_file(
    guest: Guest, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    output = io.BytesIO()
    program = "import sys; print('out', flush=True); sys.stderr.write('err'); sys.exit(3)"
    status = streamed([sys.executable, "-c", program], guest, output, limit_s=30)
    assert (status, output.getvalue()) == (3, b"out\nerr")
    assert capfdbinary.readouterr().out == b"out\nerr"


def test_stream_beyond_the_limit_is_an_error_with_the_console(guest: Guest) -> None:
    guest.machine.console.write_text("stuck here")
    begin = time.monotonic()
    with pytest.raises(GuestFailedError, match=r"within 0\.05 s(.|\n)*stuck here"):
        streamed(["sleep", "60"], guest, io.BytesIO(), limit_s=0.05)
    assert time.monotonic() - begin < 10
