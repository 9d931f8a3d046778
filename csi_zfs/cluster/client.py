"""Connections to the API server, as a pod has them, and what its refusals mean."""

import json
from collections.abc import Container, Iterator
from contextlib import contextmanager
from typing import Any, cast

import urllib3
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from kubernetes.config.config_exception import ConfigException

from csi_zfs.domain.errors import AccessDeniedError, UnavailableError

REQUEST_TIMEOUT_S = 10.0
_FORBIDDEN = {401, 403}
NOT_FOUND = 404
CONFLICT = 409


# What the API server sends; its own models of that cost more than all of our work with it.
Json = dict[str, Any]


def json_of(response: object) -> Json:
    """The object in a body that was not read yet."""
    return cast("Json", json.loads(cast("urllib3.HTTPResponse", response).data))


def lines_of(response: object) -> Iterator[Json]:
    """The objects in a body that is still coming, a line each; it is closed at the end."""
    body = cast("urllib3.HTTPResponse", response)
    try:
        for line in body:
            yield cast("Json", json.loads(line))
    finally:
        body.close()


class ClusterUnavailableError(UnavailableError):
    """The API server does not answer, or there is none: this is no pod of a cluster."""


class ClusterForbidsError(AccessDeniedError):
    """The service account may not do this."""


def connect() -> client.ApiClient:
    """A client with the service account of this pod, or as KUBECONFIG says outside of one.

    Raises `ClusterUnavailableError`.
    """
    configuration = client.Configuration()
    try:
        _load(configuration)
    except ConfigException as exc:
        raise ClusterUnavailableError(
            f"this is no pod of a cluster, and KUBECONFIG leads to none: {exc}"
        ) from exc
    return client.ApiClient(configuration)


def _load(configuration: client.Configuration) -> None:
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    except ConfigException:
        config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]


@contextmanager
def translating(what: str, *, passing: Container[int] = ()) -> Iterator[None]:
    """Turn the client's errors about `what` into ours; those with a status of `passing` go on."""
    try:
        yield
    except ApiException as exc:
        if exc.status in _FORBIDDEN:
            raise ClusterForbidsError(f"{what}: the API server refuses: {exc.reason}") from exc
        if exc.status in passing:
            raise
        raise ClusterUnavailableError(f"{what}: {exc.status} {exc.reason}") from exc
    except (urllib3.exceptions.HTTPError, OSError) as exc:
        raise ClusterUnavailableError(f"{what}: the API server does not answer: {exc}") from exc
    except json.JSONDecodeError as exc:
        raise ClusterUnavailableError(f"{what}: the answer was cut short: {exc}") from exc
