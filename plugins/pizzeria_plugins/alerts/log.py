"""Tells of alerts in the log: a line each, for whatever collects the service's logs, and optionally in a file."""

from __future__ import annotations

import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import Field

from pizzeria.contracts import Verdict
from pizzeria.errors import PizzeriaError
from pizzeria.spec.section import Options as BaseOptions

LOGGER = "pizzeria.alerts"


class Options(BaseOptions):
    """Options of the log."""

    path: Path | None = Field(
        default=None, description="Append each alert to this file too, as a line of JSON; its folder is made."
    )


def send(options: Options, name: str, verdict: Verdict, report: Path | None) -> None:
    """Log each alert at WARNING to the logger `pizzeria.alerts`, as one line of JSON; nothing without alerts.

    A line has `time` (ISO 8601, UTC), `name` of the deployment, `alert` (a sentence), `reasons` of the whole verdict
    (`performance`, `drift`) and `report` (a path, or null). In the file it is safe on disk when this returns.

    Raises:
        PizzeriaError: the file cannot be written; the alerts are in the log all the same.
    """
    time = datetime.now(UTC).isoformat(timespec="seconds")
    lines = [_line(time, name, alert, verdict, report) for alert in verdict.alerts]
    for line in lines:
        logging.getLogger(LOGGER).warning("%s", line)
    if options.path is not None and lines:
        _append(options.path, "".join(f"{line}\n" for line in lines))


def _line(time: str, name: str, alert: str, verdict: Verdict, report: Path | None) -> str:
    fields: dict[str, Any] = {
        "time": time,
        "name": name,
        "alert": alert,
        "reasons": list(verdict.reasons),
        "report": None if report is None else str(report),
    }
    return json.dumps(fields, ensure_ascii=False)


def _append(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # One write of whole lines to a file opened for appending: two monitors at once do not mix theirs.
        with open(path, "ab", buffering=0) as stream:
            stream.write(text.encode())
            os.fsync(stream.fileno())
    except OSError as error:
        raise PizzeriaError(
            f"the alerts cannot be written to {path}: {error.strerror or error}",
            hint="set monitoring.alerts.path to a file that can be written, or leave it out",
        ) from error
