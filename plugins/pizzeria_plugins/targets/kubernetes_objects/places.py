"""Where things are in the image of the service."""

from __future__ import annotations

from pathlib import PurePosixPath

PAYLOAD = PurePosixPath("/opt/pizzeria")
STATE = PurePosixPath("/var/lib/pizzeria")
PYTHON = "/opt/venv/bin/python"
USER = 10001
PORT = 3000
