import json
from pathlib import Path

import pytest

from e2e.cluster.errors import CommandFailedError
from e2e.cluster.kubectl import Kubectl
from e2e.cluster.layout import Layout

# Answers with the words that it was given and with what came on standard input.
_ECHO = """#!/usr/bin/env python3
import json, os, sys
if "fail" in sys.argv:
    sys.exit("no such thing")
print(json.dumps({"words": sys.argv[1:], "data": sys.stdin.read(), "at": os.environ["KUBECONFIG"]}))
"""


@pytest.fixture(name="kubectl")
def fixture_kubectl(tmp_path: Path) -> Kubectl:
    layout = Layout(tmp_path)
    layout.programs.mkdir()
    program = layout.programs / "kubectl"
    program.write_text(_ECHO)
    program.chmod(0o755)
    return Kubectl(layout, "here")


def test_kubectl_asks_in_its_namespace_as_the_administrator(kubectl: Kubectl) -> None:
    answer = kubectl.in_namespace("there").get("pods")
    assert answer["words"] == ["--namespace=there", "get", "pods", "--output=json"]
    assert answer["at"] == str(kubectl.layout.kubeconfig("admin"))


def test_input_reaches_the_command(kubectl: Kubectl) -> None:
    assert json.loads(kubectl.execute("pod", "cat", data="words"))["data"] == "words"


def test_shell_of_a_pod_ends_with_its_first_failure(kubectl: Kubectl) -> None:
    words = json.loads(kubectl.execute_shell("pod", "a; b"))["words"]
    assert words[1:] == ["exec", "pod", "--", "sh", "-euc", "a; b"]


def test_failure_tells_the_command_and_what_it_said(kubectl: Kubectl) -> None:
    with pytest.raises(CommandFailedError, match=r"`kubectl .*fail` fails: no such thing"):
        kubectl.run("fail")


def test_command_that_takes_too_long_is_ended(kubectl: Kubectl) -> None:
    (kubectl.layout.programs / "kubectl").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(CommandFailedError, match=r"takes over 0\.1 s"):
        kubectl.run("get", limit_s=0.1)
