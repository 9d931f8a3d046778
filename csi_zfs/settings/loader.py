"""Reads the settings: environment over file over defaults, and every mistake at once."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from csi_zfs.domain.errors import InvalidRequestError
from csi_zfs.settings.document import Document, Keys
from csi_zfs.settings.environment import host_name, process_environment
from csi_zfs.settings.files import read_document
from csi_zfs.settings.model import (
    AGENT_TABLE,
    CONTROLLER_TABLE,
    POOL_TABLE,
    SETTINGS_TABLE,
    AgentSettings,
    ControllerSettings,
    PoolSettings,
    Settings,
)
from csi_zfs.settings.places import (
    AGENTS,
    NEEDS,
    POOLS,
    Mistake,
    agent_mistakes,
    place_mistakes,
    shared_mistakes,
)
from csi_zfs.settings.problems import Problem, SettingsError
from csi_zfs.settings.spec import VARIABLE_PREFIX, SettingSpec

# Kubernetes itself sets variables such as CSI_ZFS_PORT for a Service of that name: only what all
# but spells one of ours is a mistake.
_NEARLY_A_VARIABLE = 0.85


def load_settings(path: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read a TOML or YAML file and, over it, the variables `CSI_ZFS_<KEY>`.

    Args:
        path: the file; None for none, which leaves the pools unsaid.
        environ: the variables; None for those of this process.

    Raises:
        SettingsError: with all mistakes.
    """
    reading = _Reading(_document(path), _variables_of(environ), SETTINGS_TABLE)
    arguments = reading.settings([POOLS], node_id=host_name())
    pools = reading.pools()
    reading.finish()
    return Settings(pools=tuple(PoolSettings(**pool) for pool in pools), **arguments)


def load_controller_settings(
    path: Path | None, environ: Mapping[str, str] | None = None
) -> ControllerSettings:
    """Read the settings of a router, as `load_settings` does those of a node."""
    reading = _Reading(_document(path), _variables_of(environ), CONTROLLER_TABLE)
    arguments = reading.settings([AGENTS])
    agents = reading.agents(arguments)
    reading.finish()
    return ControllerSettings(agents=tuple(AgentSettings(**one) for one in agents), **arguments)


def _document(path: Path | None) -> Document:
    return Document() if path is None else read_document(path)


def _variables_of(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    return process_environment() if environ is None else environ


class _Reading:
    """One pass over a document and the environment; a mistake is noted, and the pass goes on."""

    def __init__(
        self, document: Document, environ: Mapping[str, str], specs: Sequence[SettingSpec]
    ) -> None:
        self._problems: list[Problem] = []
        self._document = document
        self._environ = environ
        self._specs = specs

    def finish(self) -> None:
        """Raise `SettingsError` if there was a mistake."""
        if self._problems:
            raise SettingsError(self._problems)

    def settings(self, lists: Sequence[str], **defaults: object) -> dict[str, Any]:
        """The arguments of the settings that were given, without the lists of tables."""
        values = {**defaults, **self._document.values}
        self._refuse_unknown(values, [*lists, *(spec.key for spec in self._specs)], ())
        self._refuse_misspelt_variables()
        in_file = [spec for spec in self._specs if spec.variable not in self._environ]
        return self._table(in_file, values, ()) | self._variables()

    def pools(self) -> list[dict[str, Any]]:
        """The arguments of `PoolSettings` that were given, for each pool."""
        entries = self._document.values.get(POOLS, [])
        if not isinstance(entries, list) or not entries:
            self._note((POOLS,), f"must be a list of at least one table with {NEEDS}")
            return []
        pools = [self._pool(entry, (POOLS, index)) for index, entry in enumerate(entries)]
        self._note_all(shared_mistakes(pools))
        return pools

    def _pool(self, entry: object, keys: Keys) -> dict[str, Any]:
        if not isinstance(entry, dict):
            self._note(keys, f"must be a table with {NEEDS}")
            return {}
        self._refuse_unknown(entry, [spec.key for spec in POOL_TABLE], keys)
        self._note_all(place_mistakes(entry, keys))
        return self._table(POOL_TABLE, entry, keys)

    def agents(self, settings: Mapping[str, object]) -> list[dict[str, Any]]:
        """The arguments of `AgentSettings` that were given, for each agent."""
        entries = self._document.values.get(AGENTS, [])
        if not isinstance(entries, list):
            self._note((AGENTS,), "must be a list of tables with a node_id and an address")
            return []
        agents = [self._agent(entry, (AGENTS, index)) for index, entry in enumerate(entries)]
        self._note_all(agent_mistakes(agents, settings))
        return agents

    def _agent(self, entry: object, keys: Keys) -> dict[str, Any]:
        if not isinstance(entry, dict):
            self._note(keys, "must be a table with a node_id and an address")
            return {}
        self._refuse_unknown(entry, [spec.key for spec in AGENT_TABLE], keys)
        return self._table(AGENT_TABLE, entry, keys)

    def _table(
        self, specs: Iterable[SettingSpec], values: Mapping[str, object], keys: Keys
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for spec in specs:
            if spec.key in values:
                try:
                    arguments[spec.attribute] = spec.kind.parse(values[spec.key])
                except InvalidRequestError as exc:
                    self._note((*keys, spec.key), str(exc))
            elif spec.is_required:
                self._note((*keys, spec.key), f"is missing: give {spec.kind.what}")
        return arguments

    def _variables(self) -> dict[str, Any]:
        arguments: dict[str, Any] = {}
        for spec in self._specs:
            text = self._environ.get(spec.variable)
            if text is None:
                continue
            try:
                arguments[spec.attribute] = spec.kind.parse(spec.kind.from_text(text))
            except InvalidRequestError as exc:
                self._note_variable(spec.variable, str(exc))
        return arguments

    def _refuse_unknown(self, values: Iterable[str], known: list[str], keys: Keys) -> None:
        for key in values:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
                self._note((*keys, key), f"there is no such setting; {hint}")

    def _refuse_misspelt_variables(self) -> None:
        known = [spec.variable for spec in self._specs]
        for name in self._environ:
            if name.startswith(VARIABLE_PREFIX) and name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=_NEARLY_A_VARIABLE)
                if near:
                    self._note_variable(name, f"there is no such variable; did you mean {near[0]}?")

    def _note_all(self, mistakes: Iterable[Mistake]) -> None:
        for mistake in mistakes:
            self._note(mistake.keys, mistake.words)

    def _note(self, keys: Keys, message: str) -> None:
        self._problems.append(self._document.problem(keys, message))

    def _note_variable(self, name: str, message: str) -> None:
        self._problems.append(Problem(name, None, message, "environment"))
