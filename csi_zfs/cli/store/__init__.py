"""`csi-zfs store`: the chunk store as a tool of its own.

Each command is a module.
"""

import typer

from csi_zfs.cli.store import (
    cat,
    check,
    clone,
    diff,
    forget,
    gc,
    get,
    init,
    key,
    ls,
    put,
    repair,
    rm,
    stats,
    verify,
)

app = typer.Typer(
    no_args_is_help=True,
    help="Keep disk images and directories as deduplicated, encrypted chunks.",
)
for _module in (init, put, get, ls, cat, diff, clone, rm, forget, gc, verify, check, repair, stats):
    app.add_typer(_module.app)
app.add_typer(key.app, name="key")
