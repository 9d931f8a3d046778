"""The pools that are gone for good: a ConfigMap to which people add, by `csi-zfs forget`."""

import logging
from dataclasses import dataclass

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from csi_zfs.cluster.client import CONFLICT, NOT_FOUND, REQUEST_TIMEOUT_S, translating
from csi_zfs.domain.errors import CsiZfsError, UnavailableError

_PASSING = (NOT_FOUND, CONFLICT)

log = logging.getLogger(__name__)


class NoListError(UnavailableError):
    """The ConfigMap for pools that are gone does not exist."""


@dataclass(frozen=True, slots=True)
class ForgottenPools:
    """One ConfigMap, read anew for each question: what people said last is what counts."""

    api: client.ApiClient
    namespace: str
    name: str

    def __contains__(self, pool_id: object) -> bool:
        """Whether the pool of this id is gone for good.

        "No" where nobody can tell: what waits for the answer is tried again.
        """
        try:
            return pool_id in self.read()
        except CsiZfsError as exc:
            log.warning("whether pool %s is forgotten cannot be read: %s", pool_id, exc)
            return False

    def read(self) -> dict[str, str]:
        """The ids of the pools, with what was noted of each.

        Raises `NoListError`, `ClusterUnavailableError`, `ClusterForbidsError`.
        """
        try:
            with translating(self._what, passing=_PASSING):
                found = client.CoreV1Api(self.api).read_namespaced_config_map(
                    self.name, self.namespace, _request_timeout=REQUEST_TIMEOUT_S
                )
        except ApiException as exc:
            raise self._missing(exc) from exc
        return dict(found.data or {})

    def add(self, pool_id: str, note: str) -> None:
        """Note that a pool is gone.  Safe to repeat; raises as `read`."""
        try:
            with translating(self._what, passing=_PASSING):
                client.CoreV1Api(self.api).patch_namespaced_config_map(
                    self.name,
                    self.namespace,
                    {"data": {pool_id: note}},
                    _request_timeout=REQUEST_TIMEOUT_S,
                )
        except ApiException as exc:
            raise self._missing(exc) from exc

    def _missing(self, exc: ApiException) -> CsiZfsError:
        if exc.status == NOT_FOUND:
            return NoListError(f"{self._what} does not exist: the chart makes it")
        return UnavailableError(f"{self._what} is being changed by somebody else: try again")

    @property
    def _what(self) -> str:
        return f"ConfigMap {self.namespace}/{self.name}"
