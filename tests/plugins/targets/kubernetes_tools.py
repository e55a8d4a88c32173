"""What the tests of `kubernetes` need to have installed."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest

_LEAST = 27


def _missing() -> str:
    if shutil.which("kubectl") is None:
        return "kubectl is not installed: neither its way to a cluster nor its kustomize is tried"
    said = subprocess.run(["kubectl", "version", "--client", "-o", "json"], capture_output=True, text=True).stdout
    minor = int(json.loads(said)["clientVersion"]["minor"].rstrip("+"))
    return f"kubectl is 1.{minor}, and 1.{_LEAST} or later is needed" if minor < _LEAST else ""


_reason = _missing()
needs_kubectl = pytest.mark.skipif(bool(_reason), reason=_reason or "kubectl is there")
