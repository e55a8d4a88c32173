"""API keys: from the environment, several at once for rotation, and never in a message, a log or a file."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence

from pizzeria.errors import DeploymentError, RequestError

SHORTEST = 16
_HINT = "send Authorization: Bearer KEY, or X-API-Key: KEY"


class Keys:
    """The keys that open a service.

    Only their hashes are kept, so that nothing which prints this object, or the memory that a crash leaves, tells them.

    Args:
        keys: At least one.

    Example:
        >>> keys = Keys(["correct horse battery"])
        >>> keys.check({"authorization": "Bearer correct horse battery"})
        >>> keys.check({"x-api-key": "Tr0ub4dor&3"})
        Traceback (most recent call last):
        ...
        pizzeria.errors.RequestError: the API key is not one of this service
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._hashes = [_hash(key.encode()) for key in keys]

    @staticmethod
    def of_environment(variable: str, environment: Mapping[str, str]) -> Keys:
        """The keys in a variable, with commas between.

        Raises:
            DeploymentError: the variable is absent or empty, or a key in it is too short or cannot be sent in a header.

        Example:
            >>> Keys.of_environment("KEYS", {"KEYS": "short"})
            Traceback (most recent call last):
            ...
            pizzeria.errors.DeploymentError: key 1 of 1 in KEYS has 5 characters
        """
        keys = [key.strip() for key in environment.get(variable, "").split(",") if key.strip()]
        if not keys:
            raise DeploymentError(
                f"serving.keys_from names {variable}, and the environment has nothing there",
                hint=f"set {variable} to one key or more, with commas between, or leave keys_from out",
            )
        for number, key in enumerate(keys, start=1):
            which = f"key {number} of {len(keys)} in {variable}"
            if len(key) < SHORTEST:
                raise DeploymentError(
                    f"{which} has {len(key)} characters", hint=f"{SHORTEST} at least: openssl rand -hex 16"
                )
            if not key.isascii() or not key.isprintable():
                raise DeploymentError(
                    f"{which} has letters that no header can carry", hint="use letters and digits: openssl rand -hex 16"
                )
        return Keys(keys)

    def check(self, headers: Mapping[str, str]) -> None:
        """Let the bearer of a key pass; takes as long whichever key it is, and however near a wrong one comes.

        Args:
            headers: Names in lower case.

        Raises:
            RequestError: 401.
        """
        sent = _sent(headers)
        if not sent:
            raise RequestError(401, "no_key", "this service asks for an API key", hint=_HINT)
        found = _hash(sent.encode("latin-1", "replace"))
        if sum(hmac.compare_digest(found, one) for one in self._hashes) == 0:  # compared with all, whichever fits
            raise RequestError(401, "wrong_key", "the API key is not one of this service", hint=_HINT)


def _sent(headers: Mapping[str, str]) -> str:
    scheme, _, key = headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get("x-api-key", "").strip()


def _hash(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()
