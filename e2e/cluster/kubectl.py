"""kubectl and helm for the harness and its tests: objects as dictionaries, no sleeps."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.cluster.errors import CommandFailedError
from e2e.cluster.layout import Layout
from e2e.vm.commands import search_environment

Object = dict[str, Any]
_LIMIT_S = 60.0
DEFAULT_WAIT_S = 120.0
# What a command may take beyond the time that it waits for.
_SLACK_S = 30.0


@dataclass(frozen=True, slots=True)
class Kubectl:
    """kubectl as the administrator of a cluster, in a namespace."""

    layout: Layout
    namespace: str = "default"

    def in_namespace(self, namespace: str) -> "Kubectl":
        """The same, in another namespace."""
        return Kubectl(self.layout, namespace)

    def run(self, *words: str, data: str | None = None, limit_s: float = _LIMIT_S) -> str:
        """Run kubectl; returns what it printed.

        Raises:
            CommandFailedError: it ended with another status than 0, or not in time.
        """
        command = [self.layout.program("kubectl"), f"--namespace={self.namespace}", *words]
        return run_client(self.layout, command, data=data, limit_s=limit_s)

    def get(self, *words: str) -> Object:
        """An object, or a list of them with `items`."""
        found: Object = json.loads(self.run("get", *words, "--output=json"))
        return found

    def items(self, *words: str) -> list[Object]:
        """The objects that `kubectl get` finds, of one kind or several."""
        items: list[Object] = self.get(*words)["items"]
        return items

    def apply(self, *objects: Object) -> None:
        """Make objects, or change them to what is given; those that name no namespace are here."""
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.run("apply", "--server-side", "--force-conflicts", "--filename=-", data=text)

    def patch(self, resource: str, change: Mapping[str, object]) -> None:
        """Change some fields of an object."""
        self.run("patch", resource, "--type=merge", f"--patch={json.dumps(change)}")

    def delete(self, *words: str, limit_s: float = DEFAULT_WAIT_S) -> None:
        """Delete objects and wait until they are gone."""
        self.run("delete", *words, f"--timeout={limit_s:g}s", limit_s=limit_s + _SLACK_S)

    def wait(self, condition: str, *resources: str, limit_s: float = DEFAULT_WAIT_S) -> None:
        """Wait until all of the resources meet a condition: `condition=Ready`, `create`, `delete`.

        Raises:
            CommandFailedError: they do not within `limit_s`.
        """
        words = ("wait", f"--for={condition}", f"--timeout={limit_s:g}s")
        self.run(*words, *resources, limit_s=limit_s + _SLACK_S)

    def wait_for_field(
        self, resource: str, path: str, value: str, *, limit_s: float = DEFAULT_WAIT_S
    ) -> None:
        """Wait until a field of a resource, as a JSON path without braces, has a value."""
        self.wait(f"jsonpath={{{path}}}={value}", resource, limit_s=limit_s)

    def wait_until_none(self, kind: str, *, limit_s: float = DEFAULT_WAIT_S) -> None:
        """Wait until the objects of a kind that are there now are gone."""
        if names := self.run("get", kind, "--output=name").split():
            self.wait("delete", *names, limit_s=limit_s)

    def execute(self, pod: str, *words: str, data: str | None = None) -> str:
        """Run a command in a pod's first container; returns what it printed."""
        options = ["--stdin"] if data is not None else []
        return self.run("exec", *options, pod, "--", *words, data=data)

    def execute_shell(self, pod: str, script: str) -> str:
        """Run a shell script in a pod's first container, up to its first failure."""
        return self.execute(pod, "sh", "-euc", script)

    def logs(self, pod: str, *words: str) -> str:
        """What a pod said."""
        return self.run("logs", pod, *words)

    def events(self, resource: str) -> list[str]:
        """What the events about an object (`kind/name`) say, in their order."""
        kind, _, name = resource.partition("/")
        selector = f"--field-selector=involvedObject.name={name}"
        found = self.items("events", selector, "--sort-by=.lastTimestamp")
        return [
            event["message"]
            for event in found
            if event["involvedObject"]["kind"].lower() == kind.lower()
        ]


@dataclass(frozen=True, slots=True)
class Helm:
    """helm as the administrator of a cluster."""

    layout: Layout

    def run(self, *words: str, limit_s: float = DEFAULT_WAIT_S + _SLACK_S) -> str:
        """Run helm; returns what it printed.

        Raises:
            CommandFailedError: it ended with another status than 0, or not in time.
        """
        return run_client(self.layout, [self.layout.program("helm"), *words], limit_s=limit_s)


def client_environment(layout: Layout) -> dict[str, str]:
    """The environment in which kubectl and helm, and whatever asks them, reach the cluster."""
    variables = {
        "KUBECONFIG": str(layout.kubeconfig("admin")),
        "HELM_CACHE_HOME": str(layout.root / "helm"),
        "HELM_CONFIG_HOME": str(layout.root / "helm"),
        "HELM_DATA_HOME": str(layout.root / "helm"),
        "KUBECACHEDIR": str(layout.root / "kubectl"),
    }
    path = os.pathsep.join([str(layout.programs), search_environment()["PATH"]])
    return search_environment() | variables | {"PATH": path}


def run_client(
    layout: Layout, command: Sequence[str], *, data: str | None = None, limit_s: float
) -> str:
    """Run a program that talks to the cluster; returns what it printed.

    Raises:
        CommandFailedError: it ended with another status than 0, or not in time.
    """
    name = Path(command[0]).name
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            env=client_environment(layout),
            input=data or "",
            text=True,
            timeout=limit_s,
        )
    except subprocess.TimeoutExpired as exc:
        words = f"`{name} {' '.join(command[1:])}` takes over {limit_s:g} s"
        raise CommandFailedError(words) from exc
    if done.returncode != 0:
        words = f"{done.stdout}{done.stderr}".strip()
        raise CommandFailedError(f"`{name} {' '.join(command[1:])}` fails: {words}")
    return done.stdout
