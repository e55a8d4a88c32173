"""Asks one version of a function, as its URL would, through the API that invokes it."""

from __future__ import annotations

import base64
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pizzeria.contracts import Release
from pizzeria.errors import DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.sample import sample_difference
from pizzeria_plugins.targets.lambda_app.account import Account, reporting

_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".json": "application/json"}
_SHOWN = 600


@dataclass(frozen=True)
class Answer:
    """What a function answered.

    Attributes:
        status: HTTP status; 0 where it failed as a function.
        body: Of the answer.
        trouble: What it failed of.
        seconds: How long it took, with the way there.
    """

    status: int
    body: bytes
    trouble: str
    seconds: float

    def json(self) -> dict[str, Any]:
        """The body, where it is a JSON object; empty otherwise."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def event(method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> dict[str, Any]:
    """What a function URL, or API Gateway's HTTP API, sends: version 2.0 of its format.

    Args:
        path: With a query string, if any; percent-encoded.

    Example:
        >>> event("GET", "/readyz")["requestContext"]["http"]["method"]
        'GET'
    """
    route, _, query = path.partition("?")
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": route,
        "rawQueryString": query,
        "headers": {"host": "pizzeria", **{name.lower(): value for name, value in (headers or {}).items()}},
        "requestContext": {
            "http": {"method": method, "path": route, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"},
            "stage": "$default",
        },
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def ask(account: Account, function: str, version: str, sent: dict[str, Any]) -> Answer:
    """Send an event to a version or an alias.

    Raises:
        DeploymentError: AWS refuses to invoke it.
    """
    begun = time.perf_counter()
    with reporting(f"{function}:{version} cannot be asked"):
        told = account.client("lambda").invoke(
            FunctionName=function, Qualifier=version, LogType="Tail", Payload=json.dumps(sent).encode()
        )
        payload = told["Payload"].read()
    seconds = time.perf_counter() - begun
    try:
        answer = json.loads(payload or b"null")
    except ValueError:
        answer = None
    if told.get("FunctionError") or not isinstance(answer, dict) or "statusCode" not in answer:
        return Answer(0, b"", _trouble(told, answer, payload), seconds)
    text = answer.get("body") or ""
    body = base64.b64decode(text) if answer.get("isBase64Encoded") else text.encode()
    return Answer(int(answer["statusCode"]), body, "", seconds)


def check(account: Account, function: str, version: str, release: Release) -> None:
    """Ask a version whether it is the bundle, and whether it answers as the bundle must.

    Raises:
        DeploymentError: it does not answer, is another bundle, or answers the golden request otherwise.
    """
    where = f"version {version} of {function}"
    ready = ask(account, function, version, event("GET", "/readyz"))
    if ready.status != 200:
        raise DeploymentError(f"{where} does not come up: {ready.trouble or _short(ready.body)}")
    told = str(ready.json().get("sha256", ""))
    if told != release.sha256:
        raise DeploymentError(f"{where} answers with bundle {told[:12]}, and {release.sha256[:12]} was deployed")
    bundle = open_bundle(release.bundle)
    answer = ask(account, function, version, golden(bundle.sample_request(), release.serving.keys_from))
    if answer.status != 200:
        raise DeploymentError(
            f"{where} answers its golden request with {answer.status}: {answer.trouble or _short(answer.body)}"
        )
    difference = sample_difference(bundle, answer.json())
    if difference:
        raise DeploymentError(f"{where} does not repeat the golden answer: {difference}")


def golden(sample: tuple[str, bytes], keys_from: str | None) -> dict[str, Any]:
    """The golden request as an event, with a key from this command's environment where the service asks for one.

    Raises:
        DeploymentError: there is none.
    """
    name, content = sample
    headers = {"Content-Type": _TYPES[Path(name).suffix]}
    if keys_from:
        key = os.environ.get(keys_from, "").partition(",")[0].strip()
        if not key:
            raise DeploymentError(
                f"the service asks for a key of {keys_from}, and the environment of this command lacks it",
                hint=f"export {keys_from}=...",
            )
        headers["X-API-Key"] = key
    return event("POST", "/predict", headers, content)


def _trouble(told: dict[str, Any], answer: Any, payload: bytes) -> str:
    """The function's own error, and the end of its log."""
    if isinstance(answer, dict) and "errorMessage" in answer:
        what = f"{answer.get('errorType', 'error')}: {answer['errorMessage']}"
    else:
        what = _short(payload)
    log = base64.b64decode(told.get("LogResult") or "").decode("utf-8", "replace").strip()
    return f"{what}\n{log[-_SHOWN:]}" if log else what


def _short(data: bytes) -> str:
    return data[:_SHOWN].decode("utf-8", "replace") or "nothing at all"
