"""Looks at a running service as a roll-out needs it: asks the golden request, and reads what the service counts.

For targets that let a new model take over in steps (`pizzeria.contracts.Canary`). It needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import math
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pizzeria.contracts import Observation
from pizzeria.errors import DeploymentError

_ROUTES = ("/predict", "/verify")
_MOST_BYTES = 20_000_000
_BUSY = 429
_SAMPLE = re.compile(r"(pizzeria_requests_total|pizzeria_request_seconds_bucket)\{(.*)\}\s+(\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Counts:
    """What a service has counted of `/predict` and `/verify` since it started.

    Attributes:
        errors: Answers with a status of 500 or more.
        buckets: (seconds, answers that took at most so long), rising; the last is infinite.
    """

    requests: int = 0
    errors: int = 0
    buckets: tuple[tuple[float, int], ...] = ()

    def since(self, before: Counts) -> Counts:
        """What came after `before`; all of it where the service has started anew in between."""
        if before.requests > self.requests or before.errors > self.errors:
            return self
        old = dict(before.buckets)
        buckets = tuple((le, count - old.get(le, 0)) for le, count in self.buckets)
        return Counts(self.requests - before.requests, self.errors - before.errors, buckets)

    def quantile_ms(self, share: float) -> float:
        """A quantile of the latency in milliseconds, as Prometheus' `histogram_quantile` has it; NaN of nothing.

        Example:
            >>> Counts(4, 0, ((0.01, 2), (0.02, 4), (math.inf, 4))).quantile_ms(0.75)
            15.0
        """
        total = self.buckets[-1][1] if self.buckets else 0
        if total <= 0:
            return math.nan
        low, below = 0.0, 0
        for le, count in self.buckets:
            if count >= share * total:
                if math.isinf(le):
                    break
                within = (share * total - below) / (count - below) if count > below else 1.0
                return 1000 * (low + (le - low) * within)
            low, below = le, count
        return 1000 * low


def read_counts(text: str) -> Counts | None:
    """The counts in the text of `/metrics`; None where it has none of Pizzeria's.

    Example:
        >>> read_counts('pizzeria_requests_total{route="/predict",status="503"} 2.0')
        Counts(requests=2, errors=2, buckets=())
        >>> read_counts("up 1") is None
        True
    """
    requests = errors = 0
    buckets: dict[float, int] = {}
    found = "pizzeria_requests" in text
    for line in text.splitlines():
        sample = _SAMPLE.match(line)
        if sample is None:
            continue
        labels, value = dict(_LABEL.findall(sample[2])), _number(sample[3])
        if labels.get("route") not in _ROUTES or math.isnan(value):
            continue
        if sample[1] == "pizzeria_requests_total":
            requests += int(value)
            errors += int(value) if labels.get("status", "").startswith("5") else 0
        else:
            le = _number(labels.get("le", ""))
            buckets[le] = buckets.get(le, 0) + int(value)
    return Counts(requests, errors, tuple(sorted(buckets.items()))) if found else None


@dataclass(frozen=True)
class Service:
    """A running service to look at.

    Attributes:
        address: Such as http://10.0.0.4:3000; a path at its end stays.
        headers: Sent with every request: a `Host`, or what a gateway routes by.
        api_key: Sent as `Authorization: Bearer`; None where the service asks for none.
        timeout_s: After which a request counts as not answered.

    Raises:
        DeploymentError: the address is none of HTTP.
    """

    address: str
    headers: Mapping[str, str] | None = None
    api_key: str | None = None
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        parts = urlsplit(self.address)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise DeploymentError(f"{self.address!r} is no address of a service", hint="http://127.0.0.1:3000, say")

    def sha256(self) -> str:
        """What `/readyz` says; empty when it is not ready, or does not answer."""
        status, body = self._ask("/readyz")
        return _text_in(body, "sha256") if status == 200 else ""

    def counts(self) -> Counts | None:
        """What `/metrics` says; None when it offers none."""
        status, body = self._ask("/metrics")
        return read_counts(body.decode(errors="replace")) if status == 200 else None

    def predict(self, sample: tuple[str, bytes]) -> tuple[int, str]:
        """Ask a golden request, by its file name and content: the status, 0 for none, and the model that answered."""
        status, body = self._predict(sample)
        return status, _text_in(body, "model") if status == 200 else ""

    def answer(self, sample: tuple[str, bytes]) -> tuple[int, dict[str, Any]]:
        """As `predict`, and the whole answer; empty where it is none."""
        status, body = self._predict(sample)
        try:
            found = json.loads(body) if status == 200 else {}
        except ValueError:
            found = {}
        return status, found if isinstance(found, dict) else {}

    def _predict(self, sample: tuple[str, bytes]) -> tuple[int, bytes]:
        rows = Path(sample[0]).suffix == ".json"
        kind = "application/json" if rows else "application/octet-stream"
        return self._ask("/predict", sample[1], kind)

    def _ask(self, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, bytes]:
        headers = dict(self.headers or {})
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        if kind:
            headers["Content-Type"] = kind
        request = urllib.request.Request(f"{self.address.rstrip('/')}{path}", body, headers)  # noqa: S310 - an address that the target knows
        # No proxy stands between a machine and itself, whatever the environment says.
        proxies = [urllib.request.ProxyHandler({})] if _is_here(self.address) else []
        try:
            with urllib.request.build_opener(*proxies).open(request, timeout=self.timeout_s) as answer:
                return int(answer.status), answer.read(_MOST_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, b""
        except (OSError, ValueError, http.client.HTTPException):  # URLError is an OSError
            return 0, b""


def readiness(address: str, timeout_s: float = 2.0) -> dict[str, Any]:
    """What `/readyz` of a service on this machine says when it is ready; nothing otherwise. No proxy is asked, whatever
    the environment says.

    Args:
        address: http://host:port.
    """
    parts = urlsplit(address)
    with contextlib.closing(
        http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout_s)
    ) as connection:
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = json.loads(answer.read(10_000)) if answer.status == 200 else {}
        except (OSError, http.client.HTTPException, ValueError):
            return {}
    return body if isinstance(body, dict) else {}


def observe(service: Service, sample: tuple[str, bytes], probes: int, *, since: Counts | None = None) -> Observation:
    """Ask the golden request `probes` times, one after the other, and say what is seen of the service.

    Where it offers `/metrics`, all that it has answered since `since` counts, real traffic too; otherwise the golden
    requests alone. One that is not answered, or is refused with a 4xx, is an error: a model must take its own sample.
    A 429 is none, and no answer either.

    Args:
        sample: File name and content of the golden request.
        since: From `Service.counts`, when the bundle was staged; `Counts()` for a service that was started for it; by
            default from now on.
    """
    before = service.counts() if since is None else since
    models = [service.sha256()]
    took_ms: list[float] = []
    refused = unanswered = failed = 0
    for _ in range(probes):
        begun = time.perf_counter()
        status, model = service.predict(sample)
        if status == 200:
            took_ms.append(1000 * (time.perf_counter() - begun))
            models += [model] if model else []
        elif status == 0:
            unanswered += 1
        elif status >= 500:
            failed += 1
        elif status != _BUSY:
            refused += 1
    after = service.counts()
    models.append(service.sha256())
    other = next((model for model in models if model != models[0]), models[0])
    counted = None if before is None or after is None else after.since(before)
    if counted is not None and counted.requests >= len(took_ms):  # otherwise another process counts than answers
        errors = counted.errors + refused + unanswered
        return Observation(other, counted.requests + unanswered, errors, counted.quantile_ms(0.95))
    errors = failed + refused + unanswered
    return Observation(other, len(took_ms) + errors, errors, quantile(took_ms, 0.95))


def quantile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of them do not exceed; NaN of none.

    Example:
        >>> quantile([3.0, 1.0, 2.0, 4.0], 0.5)
        2.0
    """
    if not values:
        return math.nan
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def _number(text: str) -> float:
    with contextlib.suppress(ValueError):
        return float(text)
    return math.nan


def _text_in(body: bytes, key: str) -> str:
    with contextlib.suppress(ValueError, RecursionError):
        found: Any = json.loads(body)
        if isinstance(found, dict) and isinstance(found.get(key), str):
            return str(found[key])
    return ""


def _is_here(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
