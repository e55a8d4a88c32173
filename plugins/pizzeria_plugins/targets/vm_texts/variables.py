"""Files of environment variables that systemd (`EnvironmentFile=`) and a POSIX shell (`.`) read alike."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence

from pizzeria.errors import DeploymentError

_SPECIAL = re.compile(r'(["\\$`])')


def variables_file(variables: Mapping[str, str]) -> str:
    """One assignment a line, in double quotes.

    Raises:
        DeploymentError: a value has a line break, or a character that no environment can hold.

    Example:
        >>> print(variables_file({"GREETING": 'a "bed" for $5'}), end="")
        GREETING="a \\"bed\\" for \\$5"
    """
    lines = []
    for name, value in variables.items():
        if any(ord(char) < 32 or ord(char) == 127 or 0xD800 <= ord(char) <= 0xDFFF for char in value):
            raise DeploymentError(
                f"the value of {name} has a line break or another control character",
                hint="give it on one line",
            )
        quoted = _SPECIAL.sub(r"\\\1", value)
        lines.append(f'{name}="{quoted}"\n')
    return "".join(lines)


def start_script(folder: str, files: Sequence[str], argv: Sequence[str]) -> str:
    """A shell script that reads such files and becomes a command, for a supervisor that reads none itself."""
    sources = [f". {shlex.quote(file)}" for file in files]
    return "\n".join(
        ["#!/bin/sh", "set -eua", *sources, "set +a", f"cd {shlex.quote(folder)}", f"exec {shlex.join(argv)}", ""]
    )
