"""Modules that can be built although their go.mod replaces others.

`go install MODULE/cmd/x@VERSION` refuses a go.mod with replacements.  So a module of our own takes
over the other one's requirements and replacements and requires the module itself.
"""

import re

from e2e.cluster.versions import SNAPSHOT_CLIENT, SNAPSHOTTER, Module

_MODULE_LINE = re.compile(r"^module .*", re.MULTILINE)
_STAGING = re.compile(r"=> \./staging/src/(k8s\.io/\S+)")
_CLIENT = re.compile(rf"({re.escape(SNAPSHOT_CLIENT.path)}) => \./client")
# What lies beside the module in its repository: go.mod requires a published version of it, too.
_BESIDE = re.compile(r"^.*=> \.\.?/.*\n", re.MULTILINE)


def wrapper(go_mod: str, module: Module) -> str:
    """The go.mod of a module that builds the packages of another one, whose go.mod is given.

    Folders of its repository that the other one takes become the modules that are published of
    them: `staging` of Kubernetes at each release, the client of the snapshotter with it.
    """
    named = _MODULE_LINE.sub("module wrapper", go_mod, count=1)
    staged = _STAGING.sub(rf"=> \1 {module.version.replace('v1.', 'v0.', 1)}", named)
    published = _CLIENT.sub(rf"\1 => \1 {SNAPSHOTTER.version}", staged)
    return f"{_BESIDE.sub('', published)}\nrequire {module.path} {module.version}\n"
