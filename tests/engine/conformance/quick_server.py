"""A small real server: a plugin of kind `servers`, and, as a program, the service itself. It is up in half a second."""

from __future__ import annotations

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pizzeria.contracts import Release, Rendered
from pizzeria.spec.section import Options as PluginOptions


class Options(PluginOptions):
    """It has none."""


def render(release: Release, host: str, port: int) -> Rendered:
    return Rendered(commands=[[release.python, str(Path(__file__)), str(release.bundle), host, str(port)]])


def serve(bundle: Path, host: str, port: int) -> None:
    from pizzeria.inference.bundle import open_bundle
    from pizzeria.inference.contract import Contract, Limits
    from pizzeria.inference.predictor import Predictor
    from pizzeria.inference.sample import check_sample

    predictor = Predictor(open_bundle(bundle), 1)
    check_sample(predictor)
    contract, one_at_a_time = Contract(predictor, Limits()), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            with one_at_a_time:
                found = contract.answer(self.command, self.path, dict(self.headers), body)
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(found.body)

        do_GET = do_POST = do_HEAD = do_DELETE = answer

        def log_message(self, *_: Any) -> None:
            pass

    ThreadingHTTPServer((host, port), Handler).serve_forever()


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
