"""Commands of the machine that tests of real OpenZFS start."""

import subprocess

_LIMIT_S = 60


def run(*words: str) -> str:
    """Run a command and return what it printed; a failure shows what it complained about."""
    done = subprocess.run(words, capture_output=True, check=False, text=True, timeout=_LIMIT_S)
    assert done.returncode == 0, f"{' '.join(words)} failed: {done.stderr}"
    return done.stdout
