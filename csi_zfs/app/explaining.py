"""`csi-zfs why`: the pools of the settings and this machine, looked at from outside."""

from contextlib import ExitStack

from csi_zfs.app.opening import Opener
from csi_zfs.domain.errors import CsiZfsError
from csi_zfs.domain.keepers import Explanation
from csi_zfs.mount.users import Users
from csi_zfs.reflink.place import Tools
from csi_zfs.reflink.pools import inspect_pool
from csi_zfs.services.explaining import Explaining, PoolView
from csi_zfs.services.node_state import NodeState, VolumeState
from csi_zfs.settings import PoolSettings, Settings
from csi_zfs.system.files import Files
from csi_zfs.system.state_files import StateDirectory


def explain(settings: Settings, text: str) -> Explanation:
    """What keeps the volume or snapshot of this id or name; raises as `Explaining.explain`."""
    views: list[PoolView] = []
    away: dict[str, str] = {}
    with ExitStack() as stack:
        opener = Opener(Tools(), stack)
        for pool in settings.pools:
            try:
                views.append(_view_of(pool, opener))
            except CsiZfsError as exc:
                away[pool.name] = str(exc)
        explaining = Explaining(
            views=views,
            away=away,
            states=_states_in(settings),
            uses_of=Users(settings.proc_dir).of,
        )
        return explaining.explain(text)


def _view_of(pool: PoolSettings, opener: Opener) -> PoolView:
    if pool.path is None:
        return opener.made_openzfs().inspect(pool)
    view = inspect_pool(pool.path, name=pool.name)
    opener.stack.callback(view.close)
    return view


def _states_in(settings: Settings) -> list[VolumeState]:
    if not settings.state_dir.is_dir():
        return []  # no driver ever ran here
    return list(NodeState(StateDirectory(settings.state_dir, Files())))
