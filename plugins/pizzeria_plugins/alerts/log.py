"""Tells of alerts in the log: a line each, for whatever collects the service's logs, and optionally in a file."""

from __future__ import annotations

import fcntl
import json
import logging
import os
from pathlib import Path
from typing import Any

from pydantic import Field

from pizzeria.atomic import append, make_folder
from pizzeria.contracts import Notice
from pizzeria.errors import PizzeriaError
from pizzeria.spec.section import Options as BaseOptions
from pizzeria_plugins.alerts.texts import clean

LOGGER = "pizzeria.alerts"


class Options(BaseOptions):
    """Options of the log."""

    path: Path | None = Field(
        default=None, description="Append each alert to this file too, as a line of JSON; its folder is made."
    )


def send(options: Options, notice: Notice) -> None:
    """Log the notice to the logger `pizzeria.alerts`, as one line of JSON for each alarm: at WARNING when it fires, at
    INFO when it is over or maintenance decided something.

    A line has `time` (ISO 8601, UTC), `name` of the deployment, `state`, `alert` (a sentence), `kind`, and `report` (a
    path, or null). In the file it is safe on disk when this returns.

    Raises:
        PizzeriaError: the file cannot be written; the lines are in the log all the same.
    """
    lines = [_line(notice, alarm.text, alarm.kind) for alarm in notice.alarms] or [_line(notice, notice.text, None)]
    level = logging.WARNING if notice.state == "firing" else logging.INFO
    for line in lines:
        logging.getLogger(LOGGER).log(level, "%s", line)
    if options.path is not None:
        _append(options.path, "".join(f"{line}\n" for line in lines))


def _line(notice: Notice, text: str, kind: str | None) -> str:
    fields: dict[str, Any] = {
        "time": notice.at,
        "name": notice.name,
        "state": notice.state,
        "alert": clean(text, 4000),
        "kind": kind,
        "report": None if notice.report is None else clean(str(notice.report)),
    }
    return json.dumps(fields, ensure_ascii=False)


def _append(path: Path, text: str) -> None:
    try:
        make_folder(path.parent)
        with open(path, "a+b", buffering=0) as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)  # two monitors at once do not mix theirs
            append(stream, text.encode())
            os.fsync(stream.fileno())
    except OSError as error:
        raise PizzeriaError(
            f"the alerts cannot be written to {path}: {error.strerror or error}",
            hint="set monitoring.alerts.path to a file that can be written, or leave it out",
        ) from error
