"""One of the processes that torchrun starts: `python -m pizzeria_plugins.runners.member JOB STRATEGY`."""

from __future__ import annotations

import os
import sys

from pizzeria.errors import PizzeriaError
from pizzeria_plugins.runners.together import take_part


def main(path: str, strategy: str) -> int:
    """Train with the others; returns the exit code."""
    try:
        take_part(path, int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]), "torchrun", strategy)
    except PizzeriaError as error:
        print(error.message, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
