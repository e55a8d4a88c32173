"""Secrets are taken out of whatever is told: messages of errors, the ledger, pages and alerts.

Drivers put addresses with passwords into what they raise. So every error of Pizzeria passes through `hidden`, and so
does what others raise, by `said`, before either is shown or kept. Hidden are

- passwords in addresses (`postgresql://user:[hidden]@host`), tokens in them, and signatures in their queries,
- `password=...`, as databases write it,
- the values of environment variables whose names say that they hold a secret, and the password in any that holds an
  address.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from urllib.parse import unquote

HIDDEN = "[hidden]"
_SECRET_NAME = re.compile(
    r"(?i)(^|_)(api_?keys?|keys?|tokens?|secrets?|passwords?|passwd|passphrase|pwd|pass|credentials?|dsn|webhook|auth)(_|$)"
)
_SHORTEST = 8
"""Shorter values stand in ordinary words; nobody can hide them without spoiling what is said."""
_PASSWORD = re.compile(r"(?<=://)([^\s/:@'\"]*):(?!password@|\d{1,5}/)([^\s'\"]{1,256})@")
"""Also one with a `/`, which should be written %2F and so makes drivers speak of it; no port and path before an `@`."""
_TOKEN = re.compile(r"(?:(?<=https://)|(?<=http://))[^\s/:@?#'\"]+@")
_QUERY = re.compile(
    r"(?i)([?&](?:x-amz-signature|x-goog-signature|x-amz-security-token|signature|sig|token|access_token|api_key)=)"
    r"[^&\s#'\"]+"
)
_SETTING = re.compile(r"(?i)\b(password|passwd|pwd)(\s?=\s?)('[^']*'|\"[^\"]*\"|[^\s;,&'\"]+)")


def hidden(text: str) -> str:
    """A text without the secrets that can be told as such.

    Example:
        >>> hidden("no answer from postgresql://ann:tomato77@db/kitchen")
        'no answer from postgresql://ann:[hidden]@db/kitchen'
        >>> hidden("password=tomato77 host=db")
        'password=[hidden] host=db'
    """
    for value in _secrets(tuple(_candidates(os.environ))):
        text = text.replace(value, HIDDEN)
    if "=" in text:
        text = _SETTING.sub(rf"\1\2{HIDDEN}", text)
        text = _QUERY.sub(rf"\1{HIDDEN}", text)
    if "://" in text:
        text = _PASSWORD.sub(rf"\1:{HIDDEN}@", text)
        text = _TOKEN.sub(f"{HIDDEN}@", text)
    return text


def said(error: BaseException) -> str:
    """What somebody else's exception says, with its kind and without secrets.

    Example:
        >>> said(OSError("https://ann:tomato77@there is gone"))
        'OSError: https://ann:[hidden]@there is gone'
    """
    text = hidden(str(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _candidates(environment: Mapping[str, str]) -> Iterator[str]:
    """Values that are secrets by their variable's name, and addresses."""
    for name, value in environment.items():
        if len(value) >= _SHORTEST and (("@" in value and "://" in value) or _is_secret(name)):
            yield value


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


@lru_cache(maxsize=4)
def _secrets(values: tuple[str, ...]) -> tuple[str, ...]:
    """All of them and the parts that are secrets by themselves, as they are and as they stand in addresses; the longest
    first."""
    found: set[str] = set()
    for value in values:
        if value.startswith("/") and os.path.exists(value):  # noqa: PTH110 - it never raises, whatever stands there
            continue  # where a secret lies is none
        address = _PASSWORD.search(value)
        found |= {address[2], unquote(address[2])} if address else {value, *value.split(",")}
    return tuple(sorted((one for one in found if len(one) >= _SHORTEST), key=len, reverse=True))
