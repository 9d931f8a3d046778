"""Secrets that callers send along: never shown, never kept (rules.md C4)."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field


class SecretUse(enum.StrEnum):
    """Which of a class's Secrets it is: `csi.storage.k8s.io/<this>-secret-name` names it."""

    PROVISIONER = "provisioner"
    CONTROLLER_EXPAND = "controller-expand"
    NODE_STAGE = "node-stage"
    NODE_PUBLISH = "node-publish"


@dataclass(frozen=True, slots=True)
class Secrets:
    """The fields of the Secret of one call; empty where none came."""

    use: SecretUse
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)


NO_SECRETS = Secrets(SecretUse.PROVISIONER)
