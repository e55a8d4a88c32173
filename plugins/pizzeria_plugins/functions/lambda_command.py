"""One command of Pizzeria for each event of AWS Lambda, in a container image that has Pizzeria and nothing of AWS.

    python -m pizzeria_plugins.functions.lambda_command monitor amenities

It speaks Lambda's runtime interface itself. The image cannot be written to, so the store that it brings is laid out in
/tmp when the function starts; where it brings none, its working folder is copied there.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

_API = "/2018-06-01/runtime"
_SHOWN = 2000
_DONE = (0, 10, 11)
"""Exit codes of a command that did its work: all is well, there is an alert, something could not be decided."""


def main(command: list[str]) -> None:
    """Run the command for each event, for ever."""
    from pizzeria_plugins.targets.container_image.watching import BROUGHT, lay_out

    host = os.environ["AWS_LAMBDA_RUNTIME_API"]
    folder = Path(tempfile.mkdtemp()) / "work"
    if BROUGHT.is_dir():
        folder.mkdir()
        lay_out(BROUGHT, folder / "store")
        os.environ["PIZZERIA_STORE"] = str(folder / "store")
    else:
        shutil.copytree(Path.cwd(), folder)
    while True:
        request = _call(host, "GET", f"{_API}/invocation/next")
        name = request.headers["Lambda-Runtime-Aws-Request-Id"]
        request.read()
        ran = subprocess.run(
            [sys.executable, "-m", "pizzeria.cli", *command], cwd=folder, capture_output=True, text=True, check=False
        )
        print(ran.stdout, ran.stderr, sep="", flush=True)
        told = {"exit_code": ran.returncode, "said": (ran.stdout + ran.stderr)[-_SHOWN:]}
        if ran.returncode in _DONE:
            _call(host, "POST", f"{_API}/invocation/{name}/response", json.dumps(told)).read()
        else:
            error = {"errorType": "CommandFailed", "errorMessage": f"{' '.join(command)}: {told['said']}"}
            _call(host, "POST", f"{_API}/invocation/{name}/error", json.dumps(error)).read()


def _call(host: str, method: str, path: str, body: str | None = None) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(host)  # nosemgrep: no-timeout  # the next event may be hours away
    connection.request(method, path, body)
    return connection.getresponse()


if __name__ == "__main__":
    main(sys.argv[1:])
