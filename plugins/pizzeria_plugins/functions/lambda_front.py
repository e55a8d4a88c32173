"""The front of AWS Lambda: events of a function URL or of API Gateway become requests, through Mangum."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pizzeria_plugins.functions.app import open_app

_TEXT = ("text/", "application/json", "image/svg+xml")
"""Bodies that go out as text; all others, and what is no UTF-8, as base64."""

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]


def open_handler(folder: Path | None = None) -> Handler:
    """Open the service, and give the handler that Lambda calls with each event.

    Args:
        folder: Of the function; Lambda's own by default.

    Raises:
        BundleError, PluginError, DeploymentError: the service cannot start; Lambda logs it, and tries anew.
    """
    from mangum import Mangum

    app = open_app(folder or Path(os.environ["LAMBDA_TASK_ROOT"]))
    answer = Mangum(app, lifespan="off", text_mime_types=list(_TEXT))

    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        try:
            return answer(event, context)
        finally:
            app.flush()

    return handler
