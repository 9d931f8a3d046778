"""The nodes' network: a bridge on this machine, a cable and a route for each node."""

import ipaddress
import json
import subprocess

from e2e.cluster.errors import StartFailedError
from e2e.cluster.layout import (
    BRIDGE,
    MACHINE,
    MAX_NATIVE_NODES,
    NETWORK,
    NETWORK_BITS,
    PODS,
    SERVICES,
    Address,
)

_LIMIT_S = 30.0
_CABLES = MAX_NATIVE_NODES + 1
# A bridge without an address of its own takes another one with every cable.
_BRIDGE_MAC = "52:54:00:4d:00:00"


def make_bridge() -> None:
    """Make the bridge, in place of one that was left behind.

    Raises:
        StartFailedError: this machine reaches somebody else by the addresses of the cluster.
    """
    remove_links()
    done = _run("-json", "route", "show")
    if taken := taken_networks(done.stdout):
        raise StartFailedError(f"this machine uses the cluster's addresses: {', '.join(taken)}")
    _ip("link", "add", BRIDGE, "address", _BRIDGE_MAC, "type", "bridge")
    _ip("address", "add", f"{MACHINE}/{NETWORK_BITS}", "dev", BRIDGE)
    _ip("link", "set", BRIDGE, "up")


def taken_networks(routes: str) -> list[str]:
    """The networks of a machine's routes, as JSON, that a cluster would take from it.

    A wider route, of which the cluster needs but a part, stays as it is for the rest.
    """
    ours = [ipaddress.IPv4Network(network) for network in (NETWORK, PODS, SERVICES)]
    told = [str(route["dst"]) for route in json.loads(routes or "[]")]
    found = [ipaddress.IPv4Network(name) for name in told if name != "default"]
    return [str(one) for one in found if any(one.subnet_of(our) for our in ours)]


def remove_links() -> None:
    """Remove the bridge and every cable, if they are there; addresses and routes go with them."""
    for name in (*(Address(number).link for number in range(1, _CABLES + 1)), BRIDGE):
        _remove_link(name)


def plug_namespace(address: Address, pid: int) -> None:
    """Connect the network namespace of a process, where the cable's end is eth0."""
    _remove_link(address.link)
    peer = ("peer", "name", "eth0", "netns", str(pid))
    _ip("link", "add", address.link, "type", "veth", *peer)
    _connect(address)


def plug_tap(address: Address) -> None:
    """Make the end of a virtual machine's cable; a process without a device keeps it."""
    _remove_link(address.link)
    _ip("tuntap", "add", address.link, "mode", "tap")
    _connect(address)


def unplug(address: Address) -> None:
    """Remove a node's cable, if it is there."""
    _remove_link(address.link)


def _connect(address: Address) -> None:
    _ip("link", "set", address.link, "master", BRIDGE, "up")
    _ip("route", "replace", address.pods, "via", address.ip, "dev", BRIDGE)


def _remove_link(name: str) -> None:
    # The kernel may be removing it just now, with the namespace that held its other end.
    done = _run("link", "delete", name)
    if done.returncode != 0 and _run("link", "show", name).returncode == 0:
        raise StartFailedError(f"`ip link delete {name}` fails: {done.stderr.strip()}")


def _ip(*words: str) -> None:
    done = _run(*words)
    if done.returncode != 0:
        raise StartFailedError(f"`ip {' '.join(words)}` fails: {done.stderr.strip()}")


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["ip", *words], check=False, capture_output=True, text=True, timeout=_LIMIT_S
    )
