"""Asks a deployed function whether it answers with the bundle that was deployed, and as that bundle should."""

from __future__ import annotations

import importlib.util
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pizzeria.contracts import DeploymentStatus, Progress, Release
from pizzeria.errors import BundleError, DeploymentError
from pizzeria.inference.bundle import open_bundle
from pizzeria.inference.sample import sample_difference
from pizzeria_plugins.targets.clouds.kept import Kept

_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".json": "application/json"}
_MOST = 10_000_000
_PAUSE_S = 0.5

Headers = Mapping[str, str]


def wait_until_live(
    address: str, sha256: str, timeout_s: float, progress: Progress, headers: Callable[[], Headers] = dict
) -> None:
    """Return when `/readyz` tells the sha256.

    Args:
        address: `https://...`, without the route.
        sha256: Of the bundle.
        timeout_s: How long it may take; a function that is not yet there answers 404 or 503, so these are waited out.
        progress: Told that it takes time.
        headers: Called for each request: what opens the function.

    Raises:
        DeploymentError: it did not in time; says what was answered last.
    """
    begun = time.monotonic()
    progress.say(f"waiting for {sha256[:12]} at {address}/readyz")
    while True:
        status, body, trouble = ask(f"{address}/readyz", headers())
        told = _sha256(body) if status == 200 else ""
        if told == sha256:
            return
        if time.monotonic() - begun > timeout_s:
            last = f"says it is bundle {told[:12]}" if told else trouble or f"answers {status}: {_shown(body)}"
            raise DeploymentError(
                f"{address} was not ready with bundle {sha256[:12]} after {timeout_s:g} s: it {last}",
                hint="the function's own log says why; give it longer with deployment.ready_timeout_s=...",
            )
        time.sleep(_PAUSE_S)


def check_here(release: Release) -> None:
    """Refuse, before anything is sent, a bundle that cannot start or does not repeat its golden answer on this machine.

    Where ONNX Runtime is not installed, the function alone finds out.

    Raises:
        DeploymentError: it is such a bundle; nothing was changed.
    """
    if importlib.util.find_spec("onnxruntime") is None:
        return
    from pizzeria.inference.predictor import Predictor
    from pizzeria.inference.sample import check_sample as repeat

    try:
        repeat(Predictor(open_bundle(release.bundle), 1))
    except BundleError as error:
        raise DeploymentError(f"nothing was changed: {error.message}", hint=error.hint) from error


def check_sample(address: str, release: Release, headers: Headers, progress: Progress) -> None:
    """Ask the golden request, and compare with the golden answer.

    A service with keys is asked with the first of those that the environment of this command has; without one, what it
    did itself before it was ready has to do.

    Raises:
        DeploymentError: the answer is another one.
    """
    keys_from = release.serving.keys_from
    if keys_from is not None:
        key = os.environ.get(keys_from, "").partition(",")[0].strip()
        if not key:
            progress.say(f"{keys_from} is not set here, so the golden request is left to the function's own start")
            return
        headers = {**headers, "X-API-Key": key}
    opened = open_bundle(release.bundle)
    name, content = opened.sample_request()
    kind = {"Content-Type": _TYPES[Path(name).suffix]}
    status, body, trouble = ask(f"{address}/predict", {**headers, **kind}, content)
    if status != 200:
        raise DeploymentError(f"{address}/predict {trouble or f'answers {status}'} to the golden request{_told(body)}")
    try:
        difference = sample_difference(opened, json.loads(body))
    except ValueError:
        difference = f"the answer is no JSON: {_shown(body)}"
    if difference:
        raise DeploymentError(f"{address} does not repeat the golden answer: {difference}")


def status_of(kept: Kept | None, headers: Headers, timeout_s: float = 30) -> DeploymentStatus:
    """How a function is, from what it answers now."""
    if kept is None:
        return DeploymentStatus("absent")
    status, body, trouble = ask(f"{kept.address}/readyz", headers, timeout_s=timeout_s)
    told = _sha256(body) if status == 200 else ""
    if told == kept.sha256:
        return DeploymentStatus("live", kept.address, told, f"package {kept.package}")
    if told:
        return DeploymentStatus(
            "starting", kept.address, told, f"/readyz says {told[:12]} instead of {kept.sha256[:12]}"
        )
    return DeploymentStatus("dead", kept.address, detail=f"/readyz {trouble or f'answers {status}'}")


def ask(url: str, headers: Headers, body: bytes | None = None, timeout_s: float = 60) -> tuple[int, bytes, str]:
    """Status (0 where there is no answer), body, and what went wrong in words."""
    request = urllib.request.Request(url, data=body, headers=dict(headers))  # noqa: S310 (the options' own address)
    try:
        with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310  # nosec B310  # the options' own address
            return answer.status, answer.read(_MOST), ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(_MOST), ""
    except (OSError, ValueError) as error:
        return 0, b"", f"gives no answer ({getattr(error, 'reason', error)})"
    except Exception as error:  # http.client's own: an answer that is no HTTP
        return 0, b"", f"gives no answer ({type(error).__name__})"


def _sha256(body: bytes) -> str:
    try:
        found: Any = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("sha256", "")) if isinstance(found, dict) else ""


def _told(body: bytes) -> str:
    return f": {_shown(body)}" if body else ""


def _shown(body: bytes) -> str:
    return repr(body[:200].decode(errors="replace"))
