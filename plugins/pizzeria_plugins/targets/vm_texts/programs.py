"""supervisord's programs, for machines without systemd."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

SECONDS = {"m": 60, "h": 3600, "d": 86_400}


def program(name: str, script: str, *, user: str | None, folder: str, log: str, stop_s: int) -> str:
    """A program that starts by a script.

    Args:
        name: Such as `pizzeria-rooms-a`.
        user: Whom it runs as.
        folder: Where it starts; the script goes where it works.
    """
    as_user = "" if user is None else f"user={user}\n"
    return (
        f"; Written by Pizzeria, and again with each deployment.\n[program:{name}]\ncommand=/bin/sh {script}\n"
        f"directory={folder}\n{as_user}umask=077\n"
        f"autostart=true\nautorestart=true\nstartsecs=1\nstartretries=3\n"
        f"stopsignal=TERM\nstopwaitsecs={stop_s}\nkillasgroup=true\n"
        f"redirect_stderr=true\nstdout_logfile={log}\nstdout_logfile_maxbytes=10MB\nstdout_logfile_backups=2\n"
    )


def repeating_script(folder: str, files: Sequence[str], argv: Sequence[str], interval: str) -> str:
    """A shell script that runs a command, waits, and runs it again; what the command says of itself is in its log."""
    seconds = int(interval[:-1]) * SECONDS[interval[-1]]
    sources = [f". {shlex.quote(file)}" for file in files]
    lines = ["#!/bin/sh", "set -ua", *sources, "set +a", f"cd {shlex.quote(folder)} || exit 1", "while :; do"]
    return "\n".join([*lines, f"    {shlex.join(argv)}", f"    sleep {seconds}", "done", ""])
