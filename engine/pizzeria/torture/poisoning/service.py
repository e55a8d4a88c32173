"""The champion of a shop behind a real service on this machine, which asks for a key."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from pizzeria import registry
from pizzeria.conformance.asking import Quiet
from pizzeria.deployments import champion, packed, put_live, stop
from pizzeria.ports import free_port
from pizzeria.spec.check import check
from pizzeria.spec.compose import Composed, Origins
from pizzeria.torture.poisoning.shop import NAME, Shop

_VARIABLE, _KEY = "TORTURE_SHOP_KEYS", "a-key-that-is-made-for-a-trial"


@dataclass(frozen=True)
class Service:
    address: str

    def post(self, path: str, body: Mapping[str, Any], *, key: bool = True) -> tuple[int, Any]:
        """Status and JSON of an answer."""
        headers = {"Content-Type": "application/json"} | ({"X-API-Key": _KEY} if key else {})
        request = urllib.request.Request(self.address + path, json.dumps(body).encode(), headers)  # noqa: S310 - the trial's own service
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@contextmanager
def served(shop: Shop) -> Iterator[Service]:
    """Put the champion live as a service; it is taken down afterwards."""
    _, run, spec = champion(NAME, shop.store)
    there = spec.resolved() | {"deployment": {"use": "local", "port": (port := free_port())}}
    moved = check(Composed(there, Origins), registry.load)
    with patch.dict(os.environ, {_VARIABLE: _KEY, "PIZZERIA_STORE": str(shop.store.root)}):
        try:
            new = packed(run, moved, shop.store)
            put_live(moved, run, new.bundle, new.sha256, shop.store, Quiet())
            yield Service(f"http://127.0.0.1:{port}")
        finally:
            stop(NAME, shop.store, Quiet())
