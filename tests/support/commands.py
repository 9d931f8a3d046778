"""Commands of the machine that tests start."""

import subprocess

_LIMIT_S = 60.0


def run(*words: str, limit_s: float = _LIMIT_S) -> str:
    """Run a command and return what it printed; a failure shows what it complained about."""
    done = subprocess.run(words, capture_output=True, check=False, text=True, timeout=limit_s)
    assert done.returncode == 0, f"{' '.join(words)} failed: {done.stderr}"
    return done.stdout
