"""A client of a served bundle, for programs in Python; it needs httpx alone.

Answers are the JSON of the wire as typed dictionaries (`pizzeria.wire`). What a service refuses is a `RequestError`
with the status, code, message and hint that it gave.
"""

from __future__ import annotations

import ipaddress
import json
import random
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from pizzeria.errors import DeploymentError, PizzeriaError, RequestError
from pizzeria.wire import Accepted, ListingAnswer, PhotoAnswer, Ready, RowAnswers

if TYPE_CHECKING:
    import httpx

_BUSY = (429, 503)
_START = "start one with `pizzeria serve RUN` or `pizzeria deploy RUN`; `pizzeria status` shows what is deployed"


class Client:
    """Asks one service; safe to use from several threads at once.

    Args:
        url: Where the service is, such as http://127.0.0.1:3000.
        api_key: Sent as `Authorization: Bearer`; None where the service asks for none.
        timeout_s: Seconds that one call may take, waiting and trying again included.
        retries: How often a call whose connection fails is tried again. While a service is busy (429 or 503), it is
            tried until `timeout_s`, each time after the seconds of its Retry-After.
        expect_sha256: Answers of another model are refused; the first 8 or more digits suffice.

    Raises:
        PizzeriaError: the URL or the key cannot be right, or httpx is not installed.

    Every call raises:
        RequestError: the service refused it (4xx), or failed on it (5xx).
        DeploymentError: no service answers there, or it answers with another model.

    Example:
        >>> with Client("http://127.0.0.1:3000") as client:  # doctest: +SKIP
        ...     client.predict_photo("kitchen.jpg")["presence"]["sink"]
        {'probability': 0.97, 'present': True}
    """

    def __init__(
        self,
        url: str,
        api_key: str | None = None,
        *,
        timeout_s: float = 30,
        retries: int = 2,
        expect_sha256: str | None = None,
    ) -> None:
        try:
            import httpx
        except ImportError:
            raise PizzeriaError("the client needs httpx", hint="pip install 'pizzeria[serve]'") from None
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        self._retries = retries
        self.expect_sha256 = _checked_hash(expect_sha256)
        self._http = httpx.Client(
            base_url=_checked_url(self.url),
            headers={} if api_key is None else {"Authorization": f"Bearer {_checked_key(api_key)}"},
            trust_env=not _is_here(self.url),  # no proxy between a machine and itself
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def ready(self) -> Ready:
        """Which model answers."""
        found = cast(Ready, self._send("GET", "/readyz"))
        self._check_model(found, "sha256")
        return found

    def openapi(self) -> dict[str, Any]:
        """The service's OpenAPI document, with the model's own classes and columns; 404 where `pages` is off."""
        return self._send("GET", "/openapi.json")

    def predict_photo(
        self,
        photo: str | Path | bytes,
        *,
        input_id: str | None = None,
        listing_id: str | None = None,
        min_confidence: float | None = None,
        explain: bool = False,
    ) -> PhotoAnswer:
        """The answer for one photo.

        Args:
            photo: A file, or its content: JPEG, PNG or WebP.
            input_id: Name in the prediction log; the file's name by default.
            listing_id: Its listing there.
            min_confidence: Detection: boxes of at least this confidence, in [0, 1], instead of each class's threshold.
            explain: Classification: also what of the photo speaks for the class.

        Raises:
            OSError: the file cannot be read.
        """
        if not isinstance(photo, bytes):
            name, photo = Path(photo).name, Path(photo).read_bytes()
            input_id = name if input_id is None else input_id
        keys = {"input_id": input_id, "listing_id": listing_id, "min_confidence": min_confidence}
        asked = _query(keys | {"explain": "true" if explain else None})
        sent = {"Content-Type": "application/octet-stream"}
        found = self._send("POST", "/predict", params=asked, content=photo, headers=sent)
        self._check_model(found)
        return cast(PhotoAnswer, found)

    def predict_rows(
        self, rows: Sequence[Mapping[str, Any]], *, listing_id: str | None = None, explain: bool = False
    ) -> RowAnswers:
        """The answers for the rows of a table, in their order.

        Args:
            rows: Values by column, None where unknown; `row_id` names a row in the prediction log. Times may be
                `datetime`, and numbers NumPy's.
            listing_id: Kept in the prediction log.
            explain: Also what each column adds; at most 100 rows.
        """
        body = json.dumps({"rows": list(rows)}, default=_plain).encode()
        asked = _query({"listing_id": listing_id, "explain": "true" if explain else None})
        sent = {"Content-Type": "application/json"}
        found = self._send("POST", "/predict", params=asked, content=body, headers=sent)
        self._check_model(found)
        return cast(RowAnswers, found)

    def verify(
        self,
        photos: Sequence[str | Path] | Mapping[str, bytes],
        declared: Sequence[str],
        *,
        listing_id: str | None = None,
    ) -> ListingAnswer:
        """A verdict for each amenity that a listing declares.

        Args:
            photos: Files, or contents by name.
            declared: Amenities, by the names of the model's classes.
            listing_id: Kept in the prediction log.

        Raises:
            OSError: a file cannot be read.
        """
        if isinstance(photos, Mapping):
            named = list(photos.items())
        else:
            paths = [photos] if isinstance(photos, str | Path) else photos
            named = [(Path(path).name, Path(path).read_bytes()) for path in paths]
        files = [("photos", (name, data, "application/octet-stream")) for name, data in named]
        fields = {"declared": json.dumps(list(declared))} | ({} if listing_id is None else {"listing_id": listing_id})
        found = self._send("POST", "/verify", data=fields, files=files)
        self._check_model(found)
        return cast(ListingAnswer, found)

    def feedback(self, labels: Sequence[Mapping[str, Any]]) -> Accepted:
        """Tell the truth of earlier predictions. All labels are kept when this returns, and none where it raises.

        A label that was sent already changes nothing, so that a call may be tried again.

        Args:
            labels: Each has the `prediction_id` of an answer, or the `input_id` that was sent, and what the task has:
                `class`; `classes`; `boxes` (class, x_min, y_min, x_max, y_max) and/or `classes`; or `value`. Maybe `at`
                (a time with its zone, or a text) and `source`.
        """
        body = json.dumps({"labels": list(labels)}, default=_plain).encode()
        return cast(
            Accepted, self._send("POST", "/feedback", content=body, headers={"Content-Type": "application/json"})
        )

    def _send(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        import httpx

        until = time.monotonic() + self._timeout_s
        failures = 0
        while True:
            left_s = until - time.monotonic()
            try:
                response = self._http.request(method, path, timeout=max(left_s, 0.001), **request)
            except httpx.TimeoutException:
                message = f"no answer from {self.url}{path} within {self._timeout_s:g} s"
                raise DeploymentError(message, hint="wait longer (`timeout_s`), or send less at once") from None
            except httpx.TransportError as error:
                failures += 1
                wait_s = 0.1 * 2**failures
                if failures > self._retries or time.monotonic() + wait_s > until:
                    raise DeploymentError(f"no service answers at {self.url}: {error}", hint=_START) from None
            else:
                wait_s = _retry_after(response)
                if response.status_code not in _BUSY or time.monotonic() + wait_s > until:
                    return self._read(response)
            time.sleep(wait_s)

    def _read(self, response: httpx.Response) -> dict[str, Any]:
        try:
            found = response.json()
        except ValueError:
            found = None
        if response.status_code in (200, 202) and isinstance(found, dict):
            return found
        error = found.get("error") if isinstance(found, dict) else None
        if not isinstance(error, dict) or not all(isinstance(error.get(key), str) for key in ("code", "message")):
            what = f"{response.request.url} answers with {response.status_code} and no JSON as Pizzeria sends it"
            raise RequestError(response.status_code, "not_pizzeria", what, hint="is it the address of the service?")
        raise RequestError(response.status_code, error["code"], error["message"], hint=str(error.get("hint", "")))

    def _check_model(self, answer: Mapping[str, Any], key: str = "model") -> None:
        model = answer.get(key)
        if not isinstance(model, str):
            raise DeploymentError(f"{self.url} does not say which model answered", hint="is it a service of Pizzeria?")
        if not model.startswith(self.expect_sha256):
            raise DeploymentError(
                f"{self.url} answers with the model {model[:12]}, where {self.expect_sha256[:12]} is expected",
                hint="deploy that model again, or expect the new one",
            )


def _checked_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise PizzeriaError(f"{url!r} is no address of a service", hint="write it as http://127.0.0.1:3000")
    return url


def _checked_key(key: str) -> str:
    if not key or not key.isascii() or not key.isprintable() or key != key.strip():
        raise PizzeriaError("the API key is empty, or holds a character that no key has", hint="check how it was set")
    return key


def _checked_hash(sha256: str | None) -> str:
    if sha256 is None:
        return ""
    if not 8 <= len(sha256) <= 64 or set(sha256) - set("0123456789abcdef"):
        raise PizzeriaError(f"{sha256!r} is no sha256", hint="write 8 to 64 of the digits that `pizzeria status` shows")
    return sha256


def _is_here(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _query(keys: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in keys.items() if value is not None}


def _retry_after(response: httpx.Response) -> float:
    """Seconds to wait, a little more for some than for others, so that not all come back at once."""
    said = response.headers.get("retry-after", "")
    seconds = float(said) if said.isascii() and said.isdigit() and len(said) < 6 else 1.0
    return seconds + random.uniform(0, 0.25)


def _plain(value: Any) -> Any:
    """What `json` does not know: times, and NumPy's numbers."""
    for name in ("isoformat", "item"):
        if hasattr(value, name):
            return getattr(value, name)()
    raise PizzeriaError(f"a row holds {value!r}, which JSON cannot carry", hint="send texts, numbers, times or None")
